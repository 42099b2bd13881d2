//! `--name value` and `--flag` on a command's line; whatever is left over is an error.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

/// Words that have not been asked for yet.
pub struct Options {
    words: Vec<String>,
}

impl Options {
    /// The words after the command's name.
    pub fn new(words: &[String]) -> Options {
        Options { words: words.to_vec() }
    }

    /// Whether `--name` is there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// The values of all `--name VALUE`.
    pub fn values<T: FromStr>(&mut self, name: &str) -> Result<Vec<T>> {
        let mut values = Vec::new();
        while let Some(at) = self.words.iter().position(|word| word == name) {
            let Some(value) = self.words.get(at + 1) else { bail!("{name} needs a value") };
            values.push(value.parse().map_err(|_| anyhow!("{name} {value}: not a value for it"))?);
            self.words.drain(at..=at + 1);
        }
        Ok(values)
    }

    /// The value of the last `--name VALUE`.
    pub fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        Ok(self.values(name)?.pop())
    }

    /// Nothing else may be there.
    pub fn end(self) -> Result<()> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => bail!("`{word}` is not known here; `cargo xtask help` tells what is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        Options::new(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_known_is_taken_and_the_rest_is_an_error() {
        let mut known = options("--all --rounds 7 --workload a --workload b");
        assert!(known.flag("--all"));
        assert!(!known.flag("--all"));
        assert_eq!(known.value("--rounds").expect("a number"), Some(7));
        assert_eq!(known.values::<String>("--workload").expect("two names"), ["a", "b"]);
        known.end().expect("nothing is left");
        assert!(options("--round 7").end().is_err());
        assert!(options("--rounds").value::<usize>("--rounds").is_err());
        assert!(options("--rounds many").value::<usize>("--rounds").is_err());
    }
}
