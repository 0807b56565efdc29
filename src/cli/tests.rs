use super::*;

fn read(line: &str) -> Result<Parsed> {
    parse(line.split(' ').map(OsString::from))
}

fn cli(line: &str) -> Cli {
    match read(line) {
        Ok(Parsed::Run(cli)) => *cli,
        Ok(Parsed::Text(text)) => panic!("{text}"),
        Err(failure) => panic!("{failure}"),
    }
}

fn refused(line: &str) -> String {
    match read(line) {
        Err(failure) => {
            assert_eq!(failure.kind.exit_code(), 64, "{line}");
            failure.message
        }
        Ok(_) => panic!("{line} was accepted"),
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn options_for_everything_work_on_both_sides_of_the_subcommand() {
    assert_eq!(cli("seaworthy --check 2.2,icc audit").global.check, ["2.2", "icc"]);
    assert_eq!(cli("seaworthy audit --check 2.2 --check icc").global.check, ["2.2", "icc"]);
    assert!(cli("seaworthy").command.is_none());
}

#[test]
fn selection_beside_a_saved_plan_is_a_usage_error() {
    assert_eq!(
        refused("seaworthy apply p.json --check 2.2"),
        "`--check` beside a saved plan: the plan carries its own selection"
    );
    assert_eq!(
        refused("seaworthy apply p.json --accept 2.9"),
        "`--accept` beside a saved plan: the plan carries its own selection"
    );
    assert!(refused("seaworthy apply --no-restart p.json").starts_with("`--no-restart`"));
    assert!(refused("seaworthy --profile lab apply p.json").starts_with("`--profile`"));
    let Some(Sub::Apply(apply)) = cli("seaworthy apply p.json --yes --confirm-within 60").command else { panic!() };
    assert_eq!(apply.confirm_within, Some(60));
}

#[test]
fn selection_without_meaning_is_refused() {
    assert_eq!(refused("seaworthy history --check 2.2"), "`--check` has no meaning for `history`");
    assert_eq!(refused("seaworthy explain 2.2 --skip 2.3"), "`--skip` has no meaning for `explain`");
    assert_eq!(refused("seaworthy rollback --check a --check b"), "`rollback` takes one `--check`");
    cli("seaworthy explain 2.2 --benchmark 1.6.0");
    cli("seaworthy rollback --check 2.2");
}

#[test]
fn facts_are_for_audit_and_plan() {
    cli("seaworthy audit --facts f.json");
    cli("seaworthy plan --facts f.json");
    assert!(refused("seaworthy apply --facts f.json").contains("--facts"));
    refused("seaworthy audit --facts f.json --root /mnt");
}

#[test]
fn what_is_not_known_is_a_usage_error() {
    refused("seaworthy aduit");
    refused("seaworthy audit --format yaml");
    refused("seaworthy audit --fail-on pass");
    refused("seaworthy audit --benchmark 2.0");
    refused("seaworthy apply --confirm-within 0");
    refused("seaworthy -v -q audit");
}

#[test]
fn help_shows_examples_and_the_exit_codes() {
    let Ok(Parsed::Text(text)) = read("seaworthy --help") else { panic!() };
    assert!(text.contains("sudo seaworthy apply --yes"));
    assert!(text.contains("64  usage"));
}

#[test]
fn json_is_seen_in_lines_that_do_not_parse() {
    let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    assert!(wants_json(&args("seaworthy audit --format json --bad")));
    assert!(wants_json(&args("seaworthy audit --format=json --bad")));
    assert!(!wants_json(&args("seaworthy audit --bad json")));
}

#[test]
fn no_option_is_lost_silently() {
    let message = refused("seaworthy --skip daemon.icc apply --yes --skip=2.9");
    assert_eq!(message, "`--skip` on both sides of the subcommand: put all of them behind it");
    refused("seaworthy --root /a audit --root /b");
    cli("seaworthy --skip daemon.icc --check 2.2 apply --yes");
    cli("seaworthy --skip=a,b --skip c apply --yes");
}
