//! The service, as programs and browsers meet it.

mod attacks;
mod campaigns;
mod gallery;
mod ids;
mod inside;
mod messages;
mod rates;
