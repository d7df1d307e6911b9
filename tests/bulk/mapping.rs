//! Wrong usage: exit code 2, and words that say where the mistake is.

use crate::harness::{World, generated};

#[tokio::test]
async fn mistakes_in_the_call_are_told_with_exit_code_2_and_change_nothing() {
    let world = World::new().await;
    let good = world.file("cases.csv", generated(0, 3));
    let mapping = std::fs::read_to_string("mappings/phmsa.toml").unwrap();
    let bad_mapping = world.file("bad.toml", mapping.replace("closed = \"closed\"", "closed = \"shut\""));
    let no_column = world.file("no-column.csv", "reference,title\nA,B\n");
    let typo = world.file("typo.csv", generated(0, 1).replacen("narrative", "narative", 1));
    let utf16 = world.file("utf16.csv", b"\xff\xfer\0e\0");
    for (arguments, told) in [
        (
            vec![good.as_str(), "--mapping", &bad_mapping],
            "bad.toml:20: fields.state.values.closed: `shut` is not a state",
        ),
        (vec![&good, "--mapping", "nowhere.toml"], "cannot read the mapping nowhere.toml"),
        (vec!["nowhere.csv"], "cannot read nowhere.csv"),
        (vec!["src"], "src is not a file"),
        (vec![&no_column], "`state` is read from `state`, which is missing"),
        (vec![&typo], "nothing is known about the column `narative`"),
        (vec![&utf16], "the file is UTF-16"),
        (vec![&good, "--on-conflict", "panic"], "panic"),
        (vec![&good, "--batch", "0"], "batch"),
    ] {
        let said = world.import(arguments[0], &arguments[1..]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(told), "expected {told}: {said:?}");
    }
    let nobody = world.docket(&["import", "cases", &good, "--tenant", "nobody"]);
    assert!(nobody.code == Some(2) && nobody.err.contains("there is no tenant `nobody`"), "{nobody:?}");
    assert_eq!(world.number("SELECT count(*) FROM docket.cases").await, 0);
}
