//! Reading a profile's tables without trusting them.
//!
//! A damaged recording may name rows that do not exist, or a call path that is its own caller. Here such a row is
//! "not known", and every walk ends.

use heaptide_profile::{LocationId, NodeId, Profile, Site, StringId};

/// Bytes read of one name. Names are shared by rows, so an endless one would be read endless times.
const LONGEST_NAME: usize = 8192;

/// Frames read of one location, for the same reason.
const MOST_INLINED: usize = 128;

/// A frame with its names, as the profile has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FrameRef<'p> {
    pub(crate) function: Option<&'p str>,
    pub(crate) file: Option<&'p str>,
    pub(crate) line: Option<u32>,
    pub(crate) module: Option<&'p str>,
    /// Return address in the module; only where there is no function.
    pub(crate) offset: Option<u64>,
    pub(crate) inlined: bool,
}

/// The string in a row, or its beginning.
pub(crate) fn string(profile: &Profile, id: StringId) -> Option<&str> {
    profile.strings.get(id.index()).map(|text| beginning(text, LONGEST_NAME))
}

/// At most `bytes` bytes from the beginning of `text`, in whole characters.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// The call path of a site; `None` if it is not known.
pub(crate) fn site_node(profile: &Profile, site: &Site) -> Option<NodeId> {
    site.node.filter(|node| node.index() < profile.nodes.len())
}

/// The caller's call path. Its row stands before `node`'s, so a walk ends.
pub(crate) fn parent(profile: &Profile, node: NodeId) -> Option<NodeId> {
    profile.nodes.get(node.index())?.parent.filter(|parent| *parent < node)
}

/// The call paths from `node` out to the thread's entry.
pub(crate) fn outwards(profile: &Profile, node: NodeId) -> impl Iterator<Item = NodeId> {
    let first = Some(node).filter(|node| node.index() < profile.nodes.len());
    std::iter::successors(first, |&node| parent(profile, node))
}

/// The frames at a location, innermost first; at least one.
pub(crate) fn frames(profile: &Profile, location: LocationId) -> impl DoubleEndedIterator<Item = FrameRef<'_>> {
    let place = profile.locations.get(location.index());
    let module = place
        .and_then(|place| place.module)
        .and_then(|module| profile.modules.get(module.index()))
        .and_then(|module| string(profile, module.path));
    let symbols = profile.symbols.get(location.index()).map_or(&[][..], |symbols| &symbols.frames);
    let named = symbols[..symbols.len().min(MOST_INLINED)].iter().map(move |frame| FrameRef {
        function: string(profile, frame.function).filter(|name| !name.is_empty()),
        file: frame.file.and_then(|file| string(profile, file)),
        line: frame.line,
        module,
        offset: None,
        inlined: frame.inlined,
    });
    let unnamed = FrameRef {
        function: None,
        file: None,
        line: None,
        module,
        offset: place.map(|place| place.offset),
        inlined: false,
    };
    named.chain(symbols.is_empty().then_some(unnamed))
}
