//! The JSON report.

mod fixture;

use fixture::{Builder, huge, sampled, service};
use heaptide_profile::{End, Profile, Site};
use heaptide_report::json;
use serde_json::Value;

fn parsed(profile: &Profile) -> Value {
    let mut bytes = Vec::new();
    json(profile, &mut bytes).unwrap();
    assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn service_in_full() {
    let mut report = parsed(&service());
    for (_, series) in report["timeline"].as_object_mut().unwrap() {
        if let Some(series) = series.as_array_mut() {
            series.truncate(4);
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn what_is_not_known_is_null() {
    let mut b = Builder::default();
    let stripped = b.location("/opt/lib/libfoo.so", &[]);
    let node = b.path(&[stripped]);
    b.site(node, 8, [1, 1, 1, 0]).temporary_allocations = None;
    b.profile.sites.push(Site { allocations: 2, allocated_bytes: 64, ..Site::default() });
    let report = parsed(&b.finish(1.0));
    let (unknown, stripped) = (&report["call_paths"][0], &report["call_paths"][1]);
    assert_eq!(unknown["id"], Value::Null);
    assert_eq!(unknown["frames"], serde_json::json!([]));
    assert_eq!(stripped["temporary_allocations"], Value::Null);
    assert_eq!(stripped["lifetime"], Value::Null);
    assert_eq!(
        stripped["frames"],
        serde_json::json!([{
            "function": null, "file": null, "line": null, "module": "/opt/lib/libfoo.so", "offset": "0x1234", "inlined": false
        }])
    );
    assert_eq!(report["program"]["started"], Value::Null);
}

#[test]
fn an_exit_that_nobody_waited_for_has_a_status_that_is_not_known() {
    let mut profile = service();
    profile.program.end = End::Exited { status: None };
    let program = &parsed(&profile)["program"];
    assert_eq!((&program["end"], program.get("status")), (&"exited".into(), Some(&Value::Null)));
    profile.program.end = End::Lost;
    assert_eq!(parsed(&profile)["program"].get("status"), None);
}

#[test]
fn sites_of_a_call_path_are_one_object() {
    let mut b = Builder::default();
    let main = b.location("/usr/bin/a", &[("a::main", "/a.rs:1")]);
    let node = b.path(&[main]);
    b.site(node, 16, [10, 1, 1, 4]).lifetimes = vec![(8, 2)];
    b.site(node, 4096, [1, 1, 0, 0]);
    let report = parsed(&b.finish(1.0));
    assert_eq!(report["call_paths"].as_array().unwrap().len(), 1);
    let path = &report["call_paths"][0];
    assert_eq!(path["allocations"], 11);
    assert_eq!(path["live_bytes"], 16 + 4096);
    assert_eq!(path["live_bytes_at_peak"], 16);
    assert_eq!(path["sizes"], serde_json::json!({ "p50": 16, "p95": 4096, "max": 4096 }));
    assert_eq!(path["lifetime"], serde_json::json!({ "p50_s": 0.001, "p99_s": 0.008 }));
}

#[test]
fn samples_have_errors() {
    let report = parsed(&sampled());
    assert_eq!(report["recorder"]["mode"], "sampled");
    assert_eq!(report["recorder"]["sample_interval_bytes"], 512 << 10);
    let path = &report["call_paths"][0];
    let expected = (f64::from(512 << 10) / path["live_bytes"].as_f64().unwrap()).sqrt();
    assert!((path["relative_error"]["live_bytes"].as_f64().unwrap() - expected).abs() < 1e-12);
    assert!(path["samples"].as_u64().unwrap() > 0);
}

#[test]
fn a_runaway_recursion_is_cut() {
    let mut profile = huge(2_000);
    profile.sites.retain(|site| site.node.is_some_and(|node| node.0 == 999));
    let report = parsed(&profile);
    let path = &report["call_paths"][0];
    assert_eq!(path["frames"].as_array().unwrap().len(), 256);
    assert_eq!(path["frames_omitted"], 1_000 - 256);
}
