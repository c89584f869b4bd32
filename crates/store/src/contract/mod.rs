//! What every adapter must do, as checks over an opened store.
//!
//! An adapter's tests say how to open a fresh, empty store with [`RETAIN_MS`] and [`RETAIN_COUNT`], and
//! (with whatever must live as long), and [`contract_suite!`](crate::contract_suite) makes one test of each check. [`durability`] is for adapters that can be
//! closed and opened again.

pub mod apis;
pub mod durability;
mod entities;
mod records;
mod retention;
pub mod samples;
mod subjects;

pub use entities::*;
pub use records::*;
pub use retention::*;
pub use subjects::*;

/// Age, in milliseconds, after which the store under test drops records.
pub const RETAIN_MS: u64 = 1_000_000;

/// How many records the store under test keeps.
pub const RETAIN_COUNT: u64 = 300;

/// One test per check, each on the store that `$fresh().await` opens: a pair of [`Stores`](crate::Stores) and a guard.
#[macro_export]
macro_rules! contract_suite {
    ($fresh:path) => {
        $crate::contract_suite! { $fresh;
            what_is_put_is_got_back
            code_is_kept_apart
            code_lives_as_long_as_it_is_referred_to
            a_write_states_what_it_expects
            concurrent_writes_have_one_winner
            a_revision_is_never_used_again
            collections_share_one_name_space
            lists_run_newest_first_in_stable_pages
            a_namespace_lists_its_packages_actions
            foreigners_see_public_packages
            bindings_are_found_from_every_namespace
            what_is_encrypted_is_found_and_encrypted_anew
            a_record_comes_back_whole
            a_record_is_stored_once
            records_belong_to_their_namespace
            times_are_inclusive
            names_of_records_tell_packages_apart
            lists_and_counts_agree_with_a_model
            old_records_go
            surplus_records_go_oldest_first
            keys_name_identities
            blocked_subjects_are_nobody
            a_key_belongs_to_one_namespace
            the_first_owner_of_a_namespace_counts
            limits_come_with_the_identity
            the_generation_tells_of_changes
        }
    };
    ($fresh:path; $($check:ident)+) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (stores, _kept) = $fresh().await;
                $crate::contract::$check(&stores).await;
            }
        )+
    };
}
