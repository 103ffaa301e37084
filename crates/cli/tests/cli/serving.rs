//! `serve`: the real server, asked over a socket as browsers and WebDAV clients ask it.

mod browser;
mod client;
mod damage;
mod dav;
mod gate;
mod odd_names;
mod ranges;
mod trees;
