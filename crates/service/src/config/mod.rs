pub use values::{Duration, Secret, Size};
mod values;
