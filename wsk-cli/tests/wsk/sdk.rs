//! `wsk sdk` and `wsk project`.

use crate::platform::{Platform, USAGE};

#[test]
fn completion_needs_no_platform() {
    let platform = Platform::answering([]);
    platform.file("props", "");
    let script = platform.wsk("sdk install BashAuto --stdout");
    assert!(script.code == 0 && script.out.contains("_wsk()"), "{script:?}");
    platform.wsk("sdk install bashauto").printed(
        "The bash auto-completion script (wsk_cli_bash_completion.sh) is installed in the current directory.\nTo enable \
         command line completion of wsk commands, source the auto completion script into your bash environment\n\n",
    );
    assert_eq!(platform.read("wsk_cli_bash_completion.sh"), script.out);
}

#[test]
fn archives_come_from_the_platform() {
    let platform = Platform::answering([(200, "PK"), (404, "")]);
    platform.wsk("sdk install ios").printed(
        "Downloaded OpenWhisk iOS starter app. Unzip 'OpenWhiskIOSStarterApp.zip' and open the project in Xcode.\n",
    );
    assert_eq!(platform.requests(), ["GET /OpenWhiskIOSStarterApp.zip"]);
    assert_eq!(platform.wsk("sdk install docker").code, 148);
    platform.file("blackbox.tar.gz", "");
    let text =
        "error: The docker SDK installation failed: The file 'blackbox.tar.gz' already exists.  Delete it and retry.\n";
    platform.wsk("sdk install docker").failed(1, text);
}

#[test]
fn refusals() {
    let platform = Platform::answering([]);
    let text = "The SDK component argument is missing. One component (docker, ios, or bashauto) must be specified";
    platform
        .wsk("sdk install")
        .failed(1, &format!("error: {text}\n{USAGE}"));
    let text = "The SDK component argument 'foo' is invalid. Valid components are docker, ios and bashauto";
    platform
        .wsk("sdk install foo")
        .failed(1, &format!("error: {text}\n{USAGE}"));
}
