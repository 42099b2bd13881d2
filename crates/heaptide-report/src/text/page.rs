//! Lines on a page of fixed width.

use super::width::{cut_end, width};
use crate::Colour;

/// How a piece of text is inked. Meaning never rests on colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Bold,
    Dim,
    Accent,
    Title,
}

impl Ink {
    fn sgr(self) -> Option<&'static str> {
        match self {
            Ink::Plain => None,
            Ink::Bold => Some("1"),
            Ink::Dim => Some("2"),
            // Cyan and bold are told apart from plain text with every kind of colour vision.
            Ink::Accent => Some("36"),
            Ink::Title => Some("1;36"),
        }
    }
}

/// A line in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    spans: Vec<(Ink, String)>,
    columns: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A line that begins with `columns` spaces.
    pub(crate) fn indented(columns: usize) -> Self {
        Self::new().to(columns)
    }

    /// Appends text.
    pub(crate) fn add(mut self, ink: Ink, text: impl Into<String>) -> Self {
        let text = text.into();
        self.columns += width(&text);
        self.spans.push((ink, text));
        self
    }

    /// Appends spaces up to `column`; nothing if the line is there already.
    pub(crate) fn to(self, column: usize) -> Self {
        let missing = column.saturating_sub(self.columns);
        if missing == 0 { self } else { self.add(Ink::Plain, " ".repeat(missing)) }
    }

    /// Appends text so that it ends `columns` further on.
    pub(crate) fn right(self, ink: Ink, text: &str, columns: usize) -> Self {
        let start = self.columns + columns.saturating_sub(width(text));
        self.to(start).add(ink, text)
    }

    /// Columns taken so far.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }
}

/// Text in the making, line by line. No line is wider than the page.
#[derive(Debug)]
pub(crate) struct Page {
    out: String,
    width: usize,
    colour: Colour,
}

impl Page {
    /// Narrower pages than this are not drawn.
    const NARROWEST: usize = 40;
    /// On wider ones the eye loses the line.
    const WIDEST: usize = 120;

    pub(crate) fn new(width: usize, colour: Colour) -> Self {
        Self { out: String::new(), width: width.clamp(Self::NARROWEST, Self::WIDEST), colour }
    }

    /// Columns of the page.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Appends a line, cut at the page's edge.
    pub(crate) fn line(&mut self, mut line: Line) {
        let mut room = self.width;
        for (_, text) in &mut line.spans {
            *text = cut_end(text, room);
            room -= width(text);
        }
        self.uncut(line);
    }

    /// Appends a line that must stay whole: a command to copy.
    pub(crate) fn uncut(&mut self, line: Line) {
        let mut spans = line.spans;
        while let Some((_, text)) = spans.last_mut() {
            text.truncate(text.trim_end_matches(' ').len());
            if !text.is_empty() {
                break;
            }
            spans.pop();
        }
        for (ink, text) in spans {
            match ink.sgr() {
                Some(sgr) if self.colour == Colour::On && !text.is_empty() => {
                    self.out.push_str("\u{1b}[");
                    self.out.push_str(sgr);
                    self.out.push('m');
                    self.out.push_str(&text);
                    self.out.push_str("\u{1b}[0m");
                }
                _ => self.out.push_str(&text),
            }
        }
        self.out.push('\n');
    }

    /// Appends an empty line, unless the page is empty or ends with one.
    pub(crate) fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// Appends words over as many lines as they need: the first begins with `lead`, the others below its end.
    pub(crate) fn words(&mut self, lead: Line, ink: Ink, text: &str) {
        let indent = lead.columns();
        let mut line = lead;
        let mut empty = true;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if !empty && line.columns() + 1 + width(word) > self.width {
                self.line(std::mem::replace(&mut line, Line::indented(indent)));
                empty = true;
            }
            let separator = if empty { "" } else { " " };
            line = line.add(ink, format!("{separator}{word}"));
            empty = false;
        }
        self.line(line);
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(colour: Colour, draw: impl Fn(&mut Page), expected: &str) {
        let mut page = Page::new(40, colour);
        draw(&mut page);
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn lines_align_and_lose_trailing_spaces() {
        check(
            Colour::Off,
            |page| page.line(Line::indented(2).right(Ink::Bold, "12", 5).to(10).add(Ink::Dim, "x  ").to(30)),
            "     12   x\n",
        );
    }

    #[test]
    fn lines_end_at_the_edge() {
        check(
            Colour::Off,
            |page| page.line(Line::new().add(Ink::Plain, "y".repeat(50))),
            &format!("{}…\n", "y".repeat(39)),
        );
    }

    #[test]
    fn colour_marks_spans_only() {
        check(Colour::On, |page| page.line(Line::indented(1).add(Ink::Bold, "b")), " \u{1b}[1mb\u{1b}[0m\n");
    }

    #[test]
    fn words_hang_below_their_lead() {
        check(
            Colour::Off,
            |page| {
                page.words(Line::new().add(Ink::Bold, "note  "), Ink::Plain, "one two three four five six seven eight")
            },
            "note  one two three four five six seven\n      eight\n",
        );
    }
}
