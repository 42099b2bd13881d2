//! `--name value` options of the workloads: sizes only, so a parser library would be weight in what is measured.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::exit;
use std::str::FromStr;

/// The options given on the command line.
pub struct Arguments {
    program: String,
    options: BTreeMap<String, String>,
}

impl Arguments {
    /// Reads the command line; ends the process with status 2 where a name is not in `known` or has no value.
    pub fn parse(known: &[&str]) -> Self {
        let mut words = std::env::args();
        let program = words.next().unwrap_or_default();
        let mut arguments = Self { program, options: BTreeMap::new() };
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--").filter(|name| known.contains(name)) else {
                arguments.refuse(format!("unknown argument `{word}`; known: --{}", known.join(", --")));
            };
            let Some(value) = words.next() else {
                arguments.refuse(format!("`{word}` needs a value"));
            };
            arguments.options.insert(name.to_owned(), value);
        }
        arguments
    }

    /// The value of `--name`, or `None` where it was not given.
    pub fn get<T: FromStr>(&self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        let text = self.options.get(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => self.refuse(format!("`--{name} {text}`: {error}")),
        }
    }

    /// The value of `--name`, or `default`.
    pub fn get_or<T: FromStr>(&self, name: &str, default: T) -> T
    where
        T::Err: Display,
    {
        self.get(name).unwrap_or(default)
    }

    fn refuse(&self, why: String) -> ! {
        eprintln!("{}: error: {why}", self.program);
        exit(2);
    }
}
