//! What lists of manifests may say, and what of it is kept.

use super::*;

const LIST: &str = r#"{"entries":[
    {"id":"a","labels":{"type":"snapshot"},"modified":"2026-01-01T00:00:00Z","data":{"x":1}},
    null,
    {"id":"b","labels":{"type":"policy"},"modified":"2026-01-01T00:00:00Z","data":{}},
    {"id":"b","labels":null,"modified":"2026-01-02T00:00:00Z","deleted":true,"data":null}]}"#;

#[test]
fn the_latest_state_counts() {
    let states = parse(LIST.as_bytes()).unwrap();
    assert_eq!(states.len(), 3);
    assert!(states[2].deleted && states[2].data.is_none());
    assert!(states[0].is_snapshot() && !states[1].is_snapshot() && !states[2].is_snapshot());
    for order in [states.clone(), states.into_iter().rev().collect()] {
        let manifests = latest(order);
        assert_eq!(manifests.len(), 1);
        assert!(manifests[0].is_snapshot());
        assert_eq!(manifests[0].data.as_ref().unwrap().get(), r#"{"x":1}"#);
    }
}

#[test]
fn of_states_of_one_time_the_first_counts() {
    let state = |data| format!(r#"{{"id":"a","modified":"2026-01-01T00:00:00Z","data":{data}}}"#);
    let list = format!(r#"{{"entries":[{},{}]}}"#, state(1), state(2));
    let manifests = latest(parse(list.as_bytes()).unwrap());
    assert_eq!(manifests[0].data.as_ref().unwrap().get(), "1");
}

#[test]
fn states_are_taken_one_by_one() {
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    let refused = read(LIST.as_bytes(), |state| {
        if ids.len() == 2 {
            return Err("no more than two".into());
        }
        ids.push(state.id.to_string());
        lengths.push(state.length());
        Ok(())
    });
    assert_eq!((&ids[..], &lengths[..]), (&["a".into(), "b".into()][..], &[20, 13][..]));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("manifest list: no more than two at line 5"), "{refused}");
    let twice = br#"{"entries":[],"entries":[]}"#;
    assert!(parse(twice).unwrap_err().to_string().contains("duplicate field `entries`"));
}

#[test]
fn what_takes_memory_counts() {
    let memory = |rest: &str| {
        let mut memory = Vec::new();
        let list = format!(r#"{{"entries":[{{"id":"a","modified":"2026-01-01T00:00:00Z"{rest}}}]}}"#);
        read(list.as_bytes(), |state| {
            memory.push(state.memory());
            memory.push(Manifest::from(state).memory());
            Ok(())
        })
        .unwrap();
        assert_eq!(memory[0], memory[1]);
        memory[0]
    };
    let deleted = memory(r#","deleted":true"#);
    assert!(deleted >= size_of::<Manifest>());
    // Names and values of a tree have room for eleven.
    assert!(memory(r#","labels":{"type":"snapshot"},"data":{}"#) >= deleted + 11 * 48);
    let data = format!(r#","data":"{}""#, "A".repeat(5000));
    assert!((5000..6000).contains(&(memory(&data) - deleted)));
}

/// A list of a state that has so many tags, as kopia sorts them, and of another one.
fn tagged(tags: usize, rest: &str) -> Vec<Manifest> {
    let tags: String = (0..tags).map(|number| format!(r#""tag:{number}":"","#)).collect();
    let time = "2026-01-01T00:00:00Z";
    let list = format!(
        r#"{{"entries":[{{"id":"a","modified":"{time}","labels":{{{tags}"type":"snapshot"}}{rest}}},{{"id":"b","modified":"{time}"}}]}}"#
    );
    let manifests = parse(list.as_bytes()).unwrap();
    assert_eq!((manifests.len(), manifests[1].id.as_str()), (2, "b"));
    manifests
}

#[test]
fn a_manifest_that_is_too_large_is_emptied_and_the_list_goes_on() {
    let data = r#","data":{}"#;
    let most = &tagged(MAX_LABELS - 1, data)[0];
    assert_eq!((most.labels.len(), most.data.is_some(), &most.refused), (MAX_LABELS, true, &None));
    let long = format!(r#","data":"{}""#, "A".repeat(LONGEST));
    for (tags, rest, why) in [
        (MAX_LABELS, data, "unsupported number of labels: more than 10000"),
        (3 * MAX_LABELS, data, "unsupported number of labels: more than 10000"),
        (0, &*long, "unsupported length: 1048591 bytes, more than 1048576"),
    ] {
        let state = &tagged(tags, rest)[0];
        assert_eq!(state.refused.as_ref().unwrap().to_string(), why);
        assert_eq!((state.labels.len(), state.is_snapshot(), state.data.is_none()), (1, true, true));
        let deleted = &tagged(tags, &format!(r#","deleted":true{rest}"#))[0];
        assert_eq!((deleted.deleted, &deleted.refused), (true, &None));
    }
}

#[test]
fn malformed_lists() {
    assert!(parse(br#"{"entries":null}"#).unwrap().is_empty());
    let error = parse(br#"{"entries":7}"#).unwrap_err().to_string();
    assert!(error.contains("expected a list or null at line 1"), "{error}");
    for bad in [
        "",
        "{",
        r#"{"entries":[{"id":"a"}]}"#,
        r#"{"entries":[{"id":"","modified":"2026-01-01T00:00:00Z"}]}"#,
    ] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad}");
    }
}
