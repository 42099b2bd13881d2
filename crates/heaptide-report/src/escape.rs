//! Makes text of a recorded program safe to show.
//!
//! Function names, paths, thread names and arguments are the recorded program's choice. In a terminal they must not
//! move the cursor, change colours, reorder a line or hide what they say.

use std::fmt::Write as _;

/// Characters kept of one name; the rest is cut off.
const LONGEST: usize = 512;

/// `text` with every character that acts instead of being shown written as `\n` or `\u{202e}`, and the end of an
/// overlong text replaced by `…`.
///
/// ```
/// assert_eq!(heaptide_report::escape("a\x1b[2Jb"), r"a\u{1b}[2Jb");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if acts(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a terminal obeys `c`, or lays out its neighbours by it, instead of showing it.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}'                    // soft hyphen
            | '\u{034f}'                  // grapheme joiner
            | '\u{061c}'                  // Arabic letter mark
            | '\u{115f}'..='\u{1160}'     // Hangul fillers
            | '\u{17b4}'..='\u{17b5}'     // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}'     // Mongolian selectors
            | '\u{200b}'..='\u{200f}'     // zero width, direction marks
            | '\u{2028}'..='\u{202e}'     // separators, direction overrides
            | '\u{2060}'..='\u{206f}'     // joiners, isolates
            | '\u{3164}'                  // Hangul filler
            | '\u{fe00}'..='\u{fe0f}'     // variation selectors
            | '\u{feff}'                  // byte order mark
            | '\u{ffa0}'                  // Hangul filler
            | '\u{fff9}'..='\u{fffb}'     // interlinear annotation
            | '\u{1d173}'..='\u{1d17a}'   // musical format controls
            | '\u{e0000}'..='\u{e0fff}'   // tags, more selectors
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(escape(input), expected);
    }

    #[test]
    fn plain_text_stays() {
        check("kvd::store::Store<K, V>::insert", "kvd::store::Store<K, V>::insert");
        check("größe::計算", "größe::計算");
    }

    #[test]
    fn controls_are_spelled_out() {
        check("a\nb\r\tc", r"a\nb\r\tc");
        check("\x1b]0;title\x07", r"\u{1b}]0;title\u{7}");
        check("\u{9b}31m\u{7f}\0", r"\u{9b}31m\u{7f}\u{0}");
    }

    #[test]
    fn direction_and_hiding_are_spelled_out() {
        check("user\u{202e}nimda", r"user\u{202e}nimda");
        check("a\u{2066}b\u{2069}\u{200b}\u{feff}", r"a\u{2066}b\u{2069}\u{200b}\u{feff}");
        check("x\u{e0041}\u{fe0f}\u{2028}", r"x\u{e0041}\u{fe0f}\u{2028}");
    }

    #[test]
    fn overlong_text_is_cut() {
        let escaped = escape(&"a".repeat(1_000_000));
        assert_eq!(escaped.chars().count(), LONGEST + 1);
        assert!(escaped.ends_with("a…"));
    }
}
