//! A damaged file: the good rows come in, and each bad one is explained with line, field and reason.

use crate::harness::World;

const HEADER: &str = "case_id,title,respondent,case_type,status,opened_date,closed_date,proposed_penalty_usd,summary\n";

/// A line, the field and the words of the reason to expect.
type Expected = (u64, &'static str, &'static str);

/// A file with one mistake of each kind between good rows; with it, the line of each mistake and the words to expect.
fn damaged() -> (Vec<u8>, Vec<Expected>, u64) {
    let mut bytes = HEADER.as_bytes().to_vec();
    let mut expected = Vec::new();
    let mut good = 0_u64;
    let fine = |bytes: &mut Vec<u8>, good: &mut u64| {
        *good += 1;
        let row =
            format!("F-{good},Fine,\"Op, Inc\",Warning Letter,closed,2002-01-02,2002-02-03,5000,\"two\nlines\"\n");
        bytes.extend(row.bytes());
    };
    let mut bad = |bytes: &mut Vec<u8>, row: &[u8], field: &'static str, reason: &'static str| {
        let line = 1 + bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        expected.push((line, field, reason));
        bytes.extend(row);
        bytes.push(b'\n');
    };
    fine(&mut bytes, &mut good);
    bad(&mut bytes, b"B-1,T,R,Warning Letter,closed,2002-02-30,2002-03-01,,s", "opened_at", "`2002-02-30` is no date");
    bad(&mut bytes, b"B-2,T,R,Warning Letter,closed,2002-02-01,01/03/2002,,s", "closed_at", "`01/03/2002` is no date");
    bad(&mut bytes, b"B-3,T,R,Warning Letter,closed,2002-02-01,2001-01-01,,s", "closed_at", "before it was opened");
    bad(&mut bytes, b"B-4,T,R,Warning Letter,closed,2002-02-01,,,s", "closed_at", "is missing, but the case is closed");
    fine(&mut bytes, &mut good);
    bad(&mut bytes, b"B-5,T,R,Warning Letter,closed", "", "has 5 fields; the header has 9");
    bad(&mut bytes, b"B-6,T,R,Warning Letter,pending,2002-02-01,2002-02-02,,s", "state", "`pending` is unknown");
    bad(
        &mut bytes,
        b"B-7,T,R,Parking Ticket,closed,2002-02-01,2002-02-02,,s",
        "severity",
        "`Parking Ticket` is unknown",
    );
    bad(&mut bytes, b"B-8,,R,Warning Letter,closed,2002-02-01,2002-02-02,,s", "title", "is missing");
    let long = format!("B-9,{},R,Warning Letter,closed,2002-02-01,2002-02-02,,s", "x".repeat(201));
    bad(&mut bytes, long.as_bytes(), "title", "has 201 characters; at most 200");
    bad(&mut bytes, b"B-10,T\0,R,Warning Letter,closed,2002-02-01,2002-02-02,,s", "title", "control character U+0000");
    bad(
        &mut bytes,
        b"B-11,T,R,Warning Letter,closed,2002-02-01,2002-02-02,many,s",
        "proposed_penalty_usd",
        "`many` is not a number",
    );
    fine(&mut bytes, &mut good);
    bad(
        &mut bytes,
        b"B-12,T,Caf\xe9,Warning Letter,closed,2002-02-01,2002-02-02,,s",
        "respondent",
        "byte 4 (0xE9) is not UTF-8",
    );
    bad(&mut bytes, b"B-13,T,\"cut quote,Warning Letter,closed,2002-02-01,2002-02-02,,s", "", "quote");
    fine(&mut bytes, &mut good);
    let huge =
        [b"B-14,T,R,Warning Letter,closed,2002-02-01,2002-02-02,,\"", &b"x".repeat(10_000_000)[..], b"\""].concat();
    bad(&mut bytes, &huge, "", "larger than 1048576 bytes");
    fine(&mut bytes, &mut good);
    bad(
        &mut bytes,
        b"F-1,Again,R,Warning Letter,closed,2002-02-01,2002-02-02,,s",
        "reference",
        "stands in line 2 already",
    );
    bad(&mut bytes, b"B-15,T,R,Warning Letter,closed,2099-02-01,2099-02-02,,s", "opened_at", "lies in the future");
    fine(&mut bytes, &mut good);
    bad(&mut bytes, b"B-16,T,R,Warning Letter,closed,2002-02-01,2002-02-02,,\"never closed", "", "never closed");
    (bytes, expected, good)
}

#[tokio::test]
async fn the_good_rows_come_in_and_each_bad_one_is_explained() {
    let world = World::new().await;
    let (bytes, expected, good) = damaged();
    let file = world.file("damaged.csv", bytes);
    let errors = world.path("rejected.csv").to_str().unwrap().to_owned();
    let more = ["--mapping", "mappings/phmsa.toml", "--errors", &errors];

    let dry = world.import(&file, &[&more[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, dry.count("imported")), (Some(1), good), "{dry:?}");
    assert_eq!(world.number("SELECT count(*) FROM docket.cases").await, 0, "a dry run changes nothing");
    assert_eq!(world.number("SELECT count(*) FROM docket.import_runs").await, 0);

    let said = world.import(&file, &more);
    assert_eq!((said.code, said.count("imported")), (Some(1), good), "{said:?}");
    assert_eq!(world.number("SELECT count(*) FROM docket.cases").await, i64::try_from(good).unwrap());
    world.assert_sound().await;

    let rejected = world.rejected("rejected.csv");
    for (line, field, reason) in &expected {
        let found: Vec<_> = rejected.iter().filter(|row| row[0] == line.to_string()).collect();
        assert!(
            found.iter().any(|row| row[2] == *field && row[3].contains(reason)),
            "line {line}: expected {field}: {reason}; found {found:?}"
        );
        assert!(found.iter().all(|row| row[4].len() < 1_000), "the record is cut");
    }
    let lines: std::collections::BTreeSet<_> = rejected.iter().map(|row| row[0].clone()).collect();
    assert_eq!((lines.len(), said.count("rejected")), (expected.len(), expected.len() as u64), "{rejected:?}");
    // References are named where they can be read.
    assert!(rejected.iter().any(|row| row[1] == "B-6") && rejected.iter().any(|row| row[1] == "F-1"));
}

#[tokio::test]
async fn cp1252_is_read_when_asked_for_or_row_by_row() {
    let world = World::new().await;
    let row = |id: &str, name: &[u8]| {
        [id.as_bytes(), b",T,", name, b",Warning Letter,closed,2002-02-01,2002-02-02,,s\n"].concat()
    };
    let bytes = [HEADER.as_bytes(), &row("A-1", b"Caf\xe9 \x80"), &row("A-2", "Café €".as_bytes())].concat();
    let file = world.file("mixed.csv", bytes);
    let said = world.import(&file, &["--mapping", "mappings/phmsa.toml", "--encoding", "auto"]);
    assert_eq!((said.code, said.count("imported")), (Some(0), 2), "{said:?}");
    assert_eq!(world.number("SELECT count(*) FROM docket.cases WHERE respondent = 'Café €'").await, 2);
}

#[tokio::test]
async fn damaged_json_lines_are_explained_too() {
    let world = World::new().await;
    let good = r#"{"reference":"J-1","title":"T","state":"closed","severity":"low","confidentiality":"public","opened_on":"2020-01-01","closed_on":"2020-02-01","attributes":{"berth":4,"dry":true}}"#;
    let lines = [
        good.as_bytes().to_vec(),
        b"not json".to_vec(),
        b"[1,2]".to_vec(),
        good.replace("J-1", "J-2").replace("\"T\"", "[]").into_bytes(),
        good.replace("J-1", "J-3").replace("berth", "nested\":{\"a\":1},\"berth").into_bytes(),
        good.replace("J-1", "J-4").replace("\"state\"", "\"colour\":\"red\",\"state\"").into_bytes(),
        [&b"{\"reference\":\""[..], &b"x".repeat(2_000_000)[..], b"\"}"].concat(),
        b"{\"reference\":\"caf\xe9\"}".to_vec(),
        good.replace("J-1", "J-5").into_bytes(),
    ];
    let file = world.file("cases.jsonl", lines.join(&b'\n'));
    let errors = world.path("rejected.csv").to_str().unwrap().to_owned();
    let said = world.import(&file, &["--errors", &errors]);
    assert_eq!((said.code, said.count("imported"), said.count("rejected")), (Some(1), 2, 7), "{said:?}");
    let rejected = world.rejected("rejected.csv");
    for (line, field, reason) in [
        ("2", "", "is not a JSON object"),
        ("3", "", "is not a JSON object"),
        ("4", "title", "must be a single value"),
        ("5", "nested", "attributes are flat"),
        ("6", "colour", "is no column that the mapping knows"),
        ("7", "", "larger than 1048576 bytes"),
        ("8", "", "is not UTF-8"),
    ] {
        let found = rejected.iter().find(|row| row[0] == line).unwrap();
        assert!(found[2] == field && found[3].contains(reason), "{found:?}");
    }
    assert_eq!(
        world.number("SELECT count(*) FROM docket.cases WHERE attributes = '{\"berth\":4,\"dry\":true}'").await,
        2
    );
}
