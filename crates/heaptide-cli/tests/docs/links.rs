//! Links lead to files and headings, and the map names every crate.

use std::fs;

use crate::pages::{pages, read, regex, root};

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_to_files_and_headings() {
    let link = regex(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)");
    let mut links = 0;
    for page in pages() {
        let text = read(&page);
        for found in link.captures_iter(&text).filter(|found| !found[1].contains("://")) {
            links += 1;
            let target = match &found[1] {
                "" => root().join(&page),
                target => root().join(&page).parent().unwrap().join(target),
            };
            assert!(target.exists(), "{page} links to {}", &found[1]);
            if let Some(wanted) = found.get(2) {
                let headings = fs::read_to_string(&target).unwrap();
                let is_there =
                    headings.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == wanted.as_str());
                assert!(is_there, "{page} links to #{} of {}", wanted.as_str(), &found[1]);
            }
        }
    }
    assert!(links > 30, "{links} links");
}

#[test]
fn the_map_names_every_crate() {
    let map = read("ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name {name}");
    }
}
