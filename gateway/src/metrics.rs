//! Metrics of the gateway.

use std::sync::LazyLock;

#[cfg(feature = "service")]
pub use remote::*;

use prometheus::{IntCounterVec, Opts};

/// Calls of APIs by what became of them: `passed` or [`crate::apis::error::Error::label`].
pub static CALLS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let about = "Calls of APIs by outcome; passed means that a backend answered, whatever it answered.";
    let counter = IntCounterVec::new(Opts::new("ferrowhisk_gateway_api_calls_total", about), &["outcome"]);
    let counter = counter.expect("valid options");
    prometheus::register(Box::new(counter.clone())).expect("each name is registered once");
    counter
});

/// Requests that go to controllers in other processes.
#[cfg(feature = "service")]
mod remote {
    use std::sync::LazyLock;

    use hyper::StatusCode;
    use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

    /// Controllers that are ready, as seen from here.
    pub static CONTROLLERS_READY: LazyLock<IntGauge> = LazyLock::new(|| {
        let about = "Controllers that are ready, as this gateway sees them.";
        registered(IntGauge::new("ferrowhisk_gateway_controllers_ready", about).expect("valid options"))
    });

    /// From passing a request on to the head of its answer.
    pub static SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
        let about = "Seconds from passing a request to a controller to the head of its answer.";
        let buckets = vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 75.0];
        let options = HistogramOpts::new("ferrowhisk_gateway_request_seconds", about).buckets(buckets);
        registered(Histogram::with_opts(options).expect("valid options"))
    });

    /// The classes of answers, each with its counter.
    static ANSWERS: LazyLock<[IntCounter; 6]> = LazyLock::new(|| {
        let about = "Requests passed to controllers, by the class of the answer; lost: there was none from a controller; action: an \
             action failed, or said so, with a status above 499.";
        let family = IntCounterVec::new(Opts::new("ferrowhisk_gateway_requests_total", about), &["class"]);
        let family = registered(family.expect("valid options"));
        ["2xx", "3xx", "4xx", "5xx", "lost", "action"].map(|class| family.with_label_values(&[class]))
    });

    /// A controller answered, for itself or with what became of an activation.
    pub fn answered(status: StatusCode, of_activation: bool) {
        let class = match usize::from(status.as_u16() / 100).clamp(2, 5) - 2 {
            3 if of_activation => 5,
            class => class,
        };
        ANSWERS[class].inc();
    }

    /// No controller could be reached, or the one that had the request was lost, or gave no answer in time.
    pub fn lost() {
        ANSWERS[4].inc();
    }

    /// Makes all of them, so that they show from the start.
    pub fn show() {
        LazyLock::force(&CONTROLLERS_READY);
        LazyLock::force(&SECONDS);
        LazyLock::force(&ANSWERS);
        LazyLock::force(&super::CALLS);
    }

    fn registered<C: prometheus::core::Collector + Clone + 'static>(collector: C) -> C {
        prometheus::register(Box::new(collector.clone())).expect("each name is registered once");
        collector
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_action_that_fails_is_no_failure_of_the_platform() {
            let counts = || [ANSWERS[3].get(), ANSWERS[5].get()];
            let before = counts();
            answered(StatusCode::BAD_GATEWAY, true);
            assert_eq!(counts(), [before[0], before[1] + 1]);
            answered(StatusCode::BAD_GATEWAY, false);
            answered(StatusCode::OK, true);
            assert_eq!(counts(), [before[0] + 1, before[1] + 1]);
        }
    }
}
