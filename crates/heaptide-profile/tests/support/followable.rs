//! What must hold for every profile that was read.

use heaptide_profile::Profile;

/// Every index can be followed, every call path ends, columns are equally long.
pub fn assert_followable(profile: &Profile) {
    for module in &profile.modules {
        assert!(module.path.index() < profile.strings.len());
    }
    for location in &profile.locations {
        assert!(location.module.is_none_or(|id| id.index() < profile.modules.len()));
    }
    assert!([0, profile.locations.len()].contains(&profile.symbols.len()));
    for frame in profile.symbols.iter().flat_map(|symbols| &symbols.frames) {
        assert!(frame.function.index() < profile.strings.len());
        assert!(frame.file.is_none_or(|id| id.index() < profile.strings.len()));
    }
    for (index, node) in profile.nodes.iter().enumerate() {
        assert!(node.location.index() < profile.locations.len());
        assert!(node.parent.is_none_or(|id| id.index() < index));
    }
    let nodes = profile.nodes.len();
    for site in &profile.sites {
        assert!(site.node.is_none_or(|id| id.index() < nodes));
    }
    for survivors in &profile.survivors {
        assert!(survivors.node.is_none_or(|id| id.index() < nodes));
    }
    for thread in &profile.threads {
        assert!(thread.name.index() < profile.strings.len());
    }
    for row in &profile.thread_sites {
        assert!(row.node.index() < nodes && row.thread.index() < profile.threads.len());
    }
    let t = &profile.timeline;
    for column in [&t.live_bytes, &t.live_allocations, &t.allocations, &t.allocated_bytes] {
        assert_eq!(column.len(), t.t_ms.len());
    }
    assert_eq!(t.mapped_bytes.len(), t.t_ms.len());
    for column in [&t.rss_bytes, &t.pss_bytes, &t.threads, &t.open_files] {
        assert_eq!(column.len(), t.t_ms.len());
    }
    for track in &profile.tracks {
        assert!(track.node.index() < nodes);
        for column in [&track.live_bytes, &track.live_allocations, &track.allocations] {
            assert_eq!(column.len(), track.t_ms.len());
        }
    }
}
