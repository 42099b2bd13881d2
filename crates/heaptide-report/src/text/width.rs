//! Display columns: how wide text is, and how to cut it to fit.

use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text`, or its beginning and `…`, in at most `columns`.
pub(crate) fn cut_end(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    format!("{}…", head(text, columns - 1))
}

/// `text`, or its beginning, `…` and its end, in at most `columns`. The end gets more room: names differ there.
pub(crate) fn cut_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let first = (columns - 1) / 3;
    let last = columns - 1 - first;
    format!("{}…{}", head(text, first), tail(text, last))
}

/// The longest beginning in at most `columns`.
fn head(text: &str, columns: usize) -> &str {
    // A character takes at most two columns, but may take none: the cut is searched from the widest that can fit.
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let mut fits = 0;
    for end in ends {
        if width(&text[..end]) > columns {
            break;
        }
        fits = end;
    }
    &text[..fits]
}

/// The longest end in at most `columns`.
fn tail(text: &str, columns: usize) -> &str {
    let mut fits = text.len();
    for (start, _) in text.char_indices().rev() {
        if width(&text[start..]) > columns {
            break;
        }
        fits = start;
    }
    &text[fits..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_keep_what_fits() {
        assert_eq!(cut_end("abcdef", 6), "abcdef");
        assert_eq!(cut_end("abcdef", 4), "abc…");
        assert_eq!(cut_end("計算機", 4), "計…");
        assert_eq!(cut_end("abc", 0), "");
        assert_eq!(cut_middle("abcdefghij", 7), "ab…ghij");
        assert_eq!(cut_middle("計算機械計算", 7), "計…計算");
    }

    #[test]
    fn cuts_never_exceed() {
        for columns in 0..20 {
            for text in [
                "plain ascii text that is long",
                "計算機械計算機械",
                "e\u{301}e\u{301}e\u{301}e\u{301}",
                "\u{644}\u{627}\u{644}\u{627}\u{644}",
            ] {
                assert!(width(&cut_end(text, columns)) <= columns);
                assert!(width(&cut_middle(text, columns)) <= columns);
            }
        }
    }
}
