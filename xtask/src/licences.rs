//! Whether everything that is linked may be shipped under this project's licences.

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Extent};

const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks the licence of every dependency.
pub fn check() -> Result<()> {
    let metadata = cargo::metadata(Extent::Dependencies)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut mistakes = Vec::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none named");
        if !is_allowed(licence) {
            mistakes.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    ensure!(mistakes.is_empty(), "licences that are not allowed:\n  {}", mistakes.join("\n  "));
    println!("{} packages", packages.len());
    Ok(())
}

/// Whether one of the alternatives of an SPDX expression is allowed as a whole. An expression with alternatives inside
/// parentheses must have all of them allowed, which no dependency has needed to avoid so far.
fn is_allowed(expression: &str) -> bool {
    let is_known = |licence: &str| ALLOWED.contains(&licence.trim().trim_matches(['(', ')']));
    if expression.contains('(') {
        return expression.split(" AND ").flat_map(|part| part.split(" OR ")).all(is_known);
    }
    let mut alternatives = expression.split(" OR ").flat_map(|part| part.split('/'));
    alternatives.any(|alternative| alternative.split(" AND ").all(is_known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alternative_must_be_allowed_as_a_whole() {
        let check = |expression, expected| assert_eq!(is_allowed(expression), expected, "{expression}");
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-3.0-only", false);
        check("GPL-3.0-only OR Zlib", true);
        check("MIT AND GPL-3.0-only", false);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true);
        check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
        check("(MIT OR GPL-3.0-only) AND Unicode-3.0", false);
        check("none named", false);
    }
}
