//! Time from nothing to the first answer, and to gone: a sandbox against a bare process in new namespaces.
//! `cargo run -p wsk-containers --example spawn_timing [rounds]`

use std::{
    ffi::CString,
    io::{Read, Write},
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    time::{Duration, Instant},
};

use wsk_containers::{Call, Config, Spec, open};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds: usize = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(200);
    let own = std::env::current_exe().expect("a program knows its file");
    let program = own
        .with_file_name("contract_action")
        .to_str()
        .expect("a plain path")
        .to_owned();
    let factory = open(&Config::default()).expect("opened");
    let spec = Spec {
        name: "timing".to_owned(),
        image: String::new(),
        program: vec![program.clone()],
        folder: None,
        memory_mb: 256,
        concurrency: 1,
        env: Vec::new(),
        managed: true,
        tenant: None,
    };
    let (mut ours, mut create, mut run, mut destroy, mut pause, mut resume, mut bare) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let call = |body: &'static str| Call {
            body: body.into(),
            limit: Duration::from_secs(10),
            answer_limit: 1_000,
        };
        let start = Instant::now();
        let container = factory.create(spec.clone()).await.expect("created");
        create.push(start.elapsed());
        container.init(call("{}")).await.expect("initialised");
        ours.push(start.elapsed());
        let start = Instant::now();
        container.run(call("{}")).await.expect("run");
        run.push(start.elapsed());
        let start = Instant::now();
        container.pause().await.expect("paused");
        pause.push(start.elapsed());
        let start = Instant::now();
        container.resume().await.expect("resumed");
        container.run(call("{}")).await.expect("run");
        resume.push(start.elapsed());
        let start = Instant::now();
        container.destroy().await.expect("destroyed");
        destroy.push(start.elapsed());
        bare.push(bare_spawn(&program));
    }
    for (name, times) in [
        ("create", create),
        ("create + first answer", ours),
        ("warm run", run),
        ("pause", pause),
        ("resume + run", resume),
        ("destroy", destroy),
        ("bare spawn + first answer", bare),
    ] {
        report(name, times);
    }
    throughput(&*factory, &spec, rounds).await;
    factory.shutdown().await.expect("shut down");
}

async fn throughput(factory: &dyn wsk_containers::ContainerFactory, spec: &Spec, rounds: usize) {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(async {
            for _ in 0..rounds / 4 {
                let container = factory.create(spec.clone()).await.expect("created");
                let call = Call {
                    body: "{}".into(),
                    limit: Duration::from_secs(10),
                    answer_limit: 1_000,
                };
                container.init(call).await.expect("initialised");
                container.destroy().await.expect("destroyed");
            }
        });
    }
    let [one, two, three, four] = <[_; 4]>::try_from(tasks).unwrap_or_else(|_| unreachable!("four were made"));
    tokio::join!(one, two, three, four);
    println!(
        "{:28} {:8.0} per second, four at a time",
        "create, answer, destroy",
        rounds as f64 / start.elapsed().as_secs_f64()
    );
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{name:28} p50 {:8.0} us   p90 {:8.0} us   p99 {:8.0} us",
        at(0.5),
        at(0.9),
        at(0.99)
    );
}

/// Fork, new namespaces, fork, exec; then one request.
fn bare_spawn(program: &str) -> Duration {
    let path = std::env::temp_dir().join(format!("spawn-timing-{}", std::process::id()));
    let start = Instant::now();
    let listener = UnixListener::bind(&path).expect("bound");
    let program = CString::new(program).expect("a plain path");
    let variable = c"WSK_PROXY_FD=3";
    // SAFETY: the children only make system calls until they execute the program.
    let child = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS);
            let inner = libc::fork();
            if inner == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::mount(
                    c"none".as_ptr(),
                    c"/".as_ptr(),
                    std::ptr::null(),
                    libc::MS_REC | libc::MS_PRIVATE,
                    std::ptr::null(),
                );
                libc::mount(
                    c"proc".as_ptr(),
                    c"/proc".as_ptr(),
                    c"proc".as_ptr(),
                    0,
                    std::ptr::null(),
                );
                libc::dup2(listener.as_raw_fd(), 3);
                libc::fcntl(3, libc::F_SETFD, 0);
                let arguments = [program.as_ptr(), std::ptr::null()];
                let environment = [variable.as_ptr(), std::ptr::null()];
                libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
                libc::_exit(127);
            }
            libc::waitpid(inner, std::ptr::null_mut(), 0);
            libc::_exit(0);
        }
        child
    };
    let mut stream = UnixStream::connect(&path).expect("connected");
    std::fs::remove_file(&path).expect("removed");
    stream
        .write_all(b"POST /init HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        .expect("sent");
    let mut answer = [0; 64];
    assert!(stream.read(&mut answer).expect("answered") > 0);
    let took = start.elapsed();
    // SAFETY: kills and takes the child just made.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    took
}
