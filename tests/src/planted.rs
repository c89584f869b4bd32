//! The programs that are shipped hold none of the bugs that tests plant.

/// What a program with them reads from its environment.
const SWITCH: &[u8] = b"FERROWHISK_TEST_PLANTED";

#[test]
fn programs_hold_no_planted_bugs() {
    let holds = |bytes: &[u8]| bytes.windows(SWITCH.len()).any(|window| window == SWITCH);
    let own = std::env::current_exe().expect("this test's file");
    assert!(
        holds(&std::fs::read(&own).expect("readable")),
        "the search finds nothing"
    );
    let program = crate::harness::program("ferrowhisk");
    let bytes = std::fs::read(&program).expect("the harness starts it");
    assert!(!holds(&bytes), "{} was built with planted bugs", program.display());
}
