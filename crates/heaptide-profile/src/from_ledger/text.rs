//! Texts of a ledger, as long as they may be.

use heaptide_ledger::read::Reader;
use heaptide_ledger::text_word;

/// Reads texts. All together they are no longer than the ledger, or words that name the same bytes again and again
/// would take forever.
pub(super) struct Texts<'a> {
    reader: Reader<'a>,
    bytes_left: usize,
}

impl<'a> Texts<'a> {
    pub(super) fn new(reader: Reader<'a>) -> Self {
        Texts { reader, bytes_left: reader.words().len() * 8 }
    }

    /// The text, cut after `limit` bytes; `None` if it is not there.
    pub(super) fn bytes(&mut self, text: u64, limit: usize) -> Option<Vec<u8>> {
        let len = ((text & 0xffff_ffff) as usize).min(limit).min(self.bytes_left);
        self.bytes_left -= len;
        let mut bytes = Vec::with_capacity(len);
        self.reader
            .text(text_word(text >> 32, len as u64), |part| {
                bytes.extend_from_slice(part);
            })
            .then_some(bytes)
    }

    /// The text with everything that is not UTF-8 replaced; `None` if it is not there.
    pub(super) fn string(&mut self, text: u64, limit: usize) -> Option<String> {
        self.bytes(text, limit).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
