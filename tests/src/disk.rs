//! A full disk: what cannot be kept is refused with its reason, what was acknowledged stays, and room is enough to go on.

use std::path::{Path, PathBuf};

use hyper::Method;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use crate::harness::{Folder, LONG, shell, skip};
use crate::wait;

/// A small file system of its own over a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(folder: &Path) -> nix::Result<SmallDisk> {
        std::fs::create_dir_all(folder).expect("a folder");
        mount(
            Some("tmpfs"),
            folder,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=24m,mode=700"),
        )?;
        Ok(SmallDisk(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.0, MntFlags::MNT_DETACH) {
            eprintln!("{} stays mounted: {error}", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_recovers() {
    let folder = Folder::new();
    let disk = match SmallDisk::over(&folder.path()) {
        Ok(disk) => disk,
        Err(error) => {
            return skip(&format!("a small disk cannot be mounted here ({error}); it takes root"));
        }
    };
    let platform = folder.start().await;
    platform
        .put_action("kept", shell("echo '{\"ok\":true}'"), json!({"memory": 128, "logs": 0}))
        .await;
    let ballast = platform.folder.path().join("ballast");
    fill(&ballast);
    let code = format!("#!/bin/sh\n# {}\n", "x".repeat(200_000));
    let body = json!({"exec": {"kind": "blackbox", "image": "openwhisk/dockerskeleton", "code": code}});
    let refused = platform.call(Method::PUT, "/actions/refused", Some(&body)).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(
        platform.call(Method::GET, "/actions/kept", None).await.status,
        200,
        "reads go on"
    );
    assert_eq!(platform.call(Method::GET, "/actions/refused", None).await.status, 404);
    let mut accepted = Vec::new();
    for _ in 0..50 {
        let answer = platform
            .call(
                Method::POST,
                "/actions/kept",
                Some(&json!({"ballast": "y".repeat(50_000)})),
            )
            .await;
        match answer.status {
            202 => accepted.push(answer.activation_id()),
            status => assert_eq!(status, 503, "{answer:?}"),
        }
    }
    std::fs::remove_file(&ballast).expect("the ballast");
    wait::until(LONG, async || {
        let answer = platform
            .call(Method::PUT, "/actions/later?overwrite=true", Some(&body))
            .await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await;
    for id in accepted {
        platform.record(&id).await;
    }
    assert!(
        platform.folder.log().contains("no space"),
        "the log names the cause:\n{}",
        platform.folder.log()
    );
    drop(platform);
    drop(disk);
}

/// Writes until nothing fits any more.
fn fill(file: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).expect("a file");
    for size in [1 << 20, 4096, 1] {
        let block = vec![b'.'; size];
        while file.write_all(&block).is_ok() {}
    }
}
