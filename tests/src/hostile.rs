//! A hostile action, through the front door: what it must not reach. The guards one by one, each with the hole that appears
//! without it, are tested in `crates/containers`.

use serde_json::{Value, json};

use crate::harness::{Platform, shell};

/// What a script prints as its last line, seen through the API.
async fn tells(platform: &Platform, name: &str, script: &str) -> Value {
    platform
        .put_action(name, shell(script), json!({"memory": 128, "timeout": 20000}))
        .await;
    let answer = platform.invoke(name, &json!({"secret": "of this activation"})).await;
    assert_eq!(answer.status, 200, "{name}: {answer:?}");
    answer.json()["response"]["result"].clone()
}

#[tokio::test]
async fn the_data_folder_and_the_key_are_out_of_sight() {
    let platform = Platform::start().await;
    let data = platform.folder.path();
    let script = format!(
        "if ls {0} >/dev/null 2>&1 || cat {0}/guest.auth >/dev/null 2>&1; then seen=true; else seen=false; fi\n\
         key=$(env | grep -c __OW_API_KEY)\n\
         echo \"{{\\\"seen\\\": $seen, \\\"key\\\": $key}}\"",
        data.display()
    );
    assert_eq!(tells(&platform, "spy", &script).await, json!({"seen": false, "key": 0}));
}

#[tokio::test]
async fn the_platform_cannot_be_signalled_or_seen() {
    let platform = Platform::start().await;
    let pid = platform.pid();
    let script = format!(
        "if kill -0 {pid} 2>/dev/null || kill -TERM {pid} 2>/dev/null; then hit=true; else hit=false; fi\n\
         names=$(cat /proc/*/comm 2>/dev/null | grep -c ferrowhisk)\n\
         echo \"{{\\\"hit\\\": $hit, \\\"names\\\": $names}}\""
    );
    assert_eq!(
        tells(&platform, "killer", &script).await,
        json!({"hit": false, "names": 0})
    );
    assert_eq!(platform.get("/actions").await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn nothing_outside_the_private_folder_can_be_written() {
    let platform = Platform::start().await;
    let script = "n=0\nfor f in / /usr /etc /bin /dev /proc/sys/kernel; do\n  if touch $f/mark 2>/dev/null; then n=$((n+1)); fi\ndone\n\
                  echo x > /proc/sys/kernel/core_pattern 2>/dev/null && n=$((n+1))\n\
                  mount -t tmpfs none /mnt 2>/dev/null && n=$((n+1))\n\
                  echo \"{\\\"written\\\": $n}\"";
    assert_eq!(tells(&platform, "writer", script).await, json!({"written": 0}));
}

#[tokio::test]
async fn a_control_socket_cannot_be_found() {
    let platform = Platform::start().await;
    let script = "found=$(find / -type s 2>/dev/null | head -n 1)\n\
                  fds=$(ls -l /proc/self/fd 2>/dev/null | grep -c socket)\n\
                  echo \"{\\\"found\\\": \\\"$found\\\", \\\"sockets\\\": $fds}\"";
    assert_eq!(
        tells(&platform, "finder", script).await,
        json!({"found": "", "sockets": 0})
    );
}

#[tokio::test]
async fn another_actions_code_and_arguments_are_out_of_reach() {
    let platform = Platform::start().await;
    platform
        .put_action(
            "victim",
            shell("sleep 3; echo '{}' # a-secret-in-the-code"),
            json!({"memory": 128}),
        )
        .await;
    let secret = json!({"password": "a-secret-in-the-arguments"});
    let victim = platform.invoke("victim", &secret);
    let script = "hits=$(grep -rls 'a-secret-in-th[e]' /tmp /proc/[0-9]*/cmdline /proc/[0-9]*/environ /var/tmp /run 2>/dev/null | grep -v self | head -n 3 | wc -l)\n\
                  echo \"{\\\"hits\\\": $hits}\"";
    let spy = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        tells(&platform, "thief", script).await
    };
    let (victim, told) = tokio::join!(victim, spy);
    assert_eq!(victim.status, 200);
    assert_eq!(told, json!({"hits": 0}));
}
