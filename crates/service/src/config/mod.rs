//! Configuration: declared once, layered, checked, printed, documented.
//!
//! A configuration is a struct made by [`settings!`]; it has a doc comment and a default for every field. [`Loader`] lays a
//! TOML file, the environment and flags over the defaults, in this order. [`print`] shows the result, [`reference`] the
//! table for the handbook.
//!
//! **Invariants.** A key that nothing reads is an error that names it, where it came from, and the nearest key there is. A
//! value of the wrong type is an error that names the key and what is expected. A [`Secret`] never prints.

mod loader;
mod reference;
mod values;

pub use loader::{Error, Loader, named_file};
pub use reference::{Documented, Field, Kind, print, reference, undocumented};
pub use values::{BadSize, Duration, Secret, Size};

/// Declares a configuration struct: every field with its doc comment and its default.
///
/// `pub field: Type as section = default` nests another such struct; `as documented` nests a serde struct of a
/// crate that cannot depend on this one, which has the docs of its keys as `DOCS`.
///
/// ```
/// wsk_service::settings! {
///     /// Where a service listens.
///     pub struct Listen {
///         /// Address and port; port 0 takes a free one.
///         pub address: String = "127.0.0.1:3233".to_owned(),
///         /// Logs.
///         pub log: wsk_service::telemetry::Config as section = Default::default(),
///     }
/// }
/// assert!(wsk_service::config::reference::<Listen>().contains("| `log.level` |"));
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field_vis:vis $field:ident: $type:ty $(as $kind:ident)?
                    = $default:expr
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $vis struct $name {
            $( $(#[doc = $doc])* $field_vis $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::Documented for $name {
            fn fields() -> Vec<$crate::config::Field> {
                vec![$(
                    $crate::config::Field {
                        name: stringify!($field),
                        doc: concat!($($doc, "\n"),*),
                        kind: $crate::settings!(@kind $type $(, $kind)?),
                    },
                )*]
            }
        }
    };
    (@kind $type:ty) => { $crate::config::Kind::Value(stringify!($type)) };
    (@kind $type:ty, section) => { $crate::config::Kind::Section(<$type as $crate::config::Documented>::fields) };
    (@kind $type:ty, documented) => { $crate::config::Kind::Foreign(<$type>::DOCS) };
}
