//! Which limits apply to a namespace: its own, clipped to the system's.

use wsk_entities::{Bounds, LimitBounds, UserLimits};

use super::{App, Caller};

/// Most bytes of the parameters, and of the annotations, of one entity.
pub const MAX_PARAMETERS: u64 = 1_048_576;

/// Bytes of a size as limits documents write it: a number and `B`, `KB`, `MB` or `GB`, with or without a blank.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
        "B" => 1,
        "KB" | "K" => 1024,
        "MB" | "M" => 1024 * 1024,
        "GB" | "G" => 1024 * 1024 * 1024,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn clipped(system: Bounds, min: Option<u32>, max: Option<u32>) -> Bounds {
    Bounds {
        min: min.unwrap_or(system.min).max(system.min),
        max: max.unwrap_or(system.max).min(system.max),
    }
}

impl App {
    /// The ranges that an action's limits must lie in, for this namespace.
    pub fn bounds_for(&self, limits: &UserLimits) -> LimitBounds {
        let system = self.bounds();
        LimitBounds {
            timeout: clipped(system.timeout, limits.min_action_timeout, limits.max_action_timeout),
            memory: clipped(system.memory, limits.min_action_memory, limits.max_action_memory),
            logs: clipped(system.logs, limits.min_action_logs, limits.max_action_logs),
            concurrency: clipped(
                system.concurrency,
                limits.min_action_concurrency,
                limits.max_action_concurrency,
            ),
        }
    }

    /// Most bytes of parameters, and of annotations, of an entity of this namespace.
    pub fn max_parameters(&self, limits: &UserLimits) -> u64 {
        limits
            .max_parameter_size
            .as_deref()
            .and_then(parse_size)
            .map_or(MAX_PARAMETERS, |own| own.min(MAX_PARAMETERS))
    }

    /// Most activations in flight of this namespace, which also bounds an action's instances.
    pub fn concurrency_of(&self, limits: &UserLimits) -> u32 {
        limits
            .concurrent_invocations
            .unwrap_or_else(|| self.config.shown_concurrent_invocations())
    }

    /// The effective limits as `GET limits` shows them: what has a system default always, the rest when it is overridden.
    pub fn shown_limits(&self, caller: &Caller) -> UserLimits {
        let own = &caller.identity.limits;
        let bounds = self.bounds_for(own);
        let concurrent = self.concurrency_of(own);
        UserLimits {
            invocations_per_minute: own
                .invocations_per_minute
                .or(Some(self.config.shown_invocations_per_minute())),
            concurrent_invocations: Some(concurrent),
            fires_per_minute: own.fires_per_minute.or(Some(self.config.shown_fires_per_minute())),
            min_action_memory: Some(bounds.memory.min),
            max_action_memory: Some(bounds.memory.max),
            min_action_logs: Some(bounds.logs.min),
            max_action_logs: Some(bounds.logs.max),
            min_action_timeout: Some(bounds.timeout.min),
            max_action_timeout: Some(bounds.timeout.max),
            min_action_concurrency: Some(bounds.concurrency.min),
            max_action_concurrency: Some(bounds.concurrency.max),
            max_parameter_size: Some(format!("{} B", self.max_parameters(own))),
            max_action_instances: Some(concurrent),
            ..own.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_limits_documents_write_them() {
        for (text, bytes) in [
            ("1048576 B", Some(1_048_576)),
            ("2 MB", Some(2_097_152)),
            ("2mb", Some(2_097_152)),
            (" 1 KB ", Some(1024)),
            ("1", None),
            ("MB", None),
            ("1.5 MB", None),
            ("99999999999999999999 B", None),
            ("18446744073709551615 KB", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    /// A namespace may be held to less than the system allows, never be given more.
    #[test]
    fn own_bounds_only_narrow() {
        let system = Bounds { min: 128, max: 512 };
        assert_eq!(clipped(system, None, None), system);
        assert_eq!(clipped(system, Some(200), Some(300)), Bounds { min: 200, max: 300 });
        assert_eq!(clipped(system, Some(1), Some(9999)), system);
    }
}
