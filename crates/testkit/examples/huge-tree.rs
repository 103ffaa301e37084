//! Writes a repository with a snapshot of very many files: `huge-tree DIR --shape 1000,1000,10`.
//!
//! The shape says how many directories lie in each directory, level by level, and at last how many files in
//! each of the lowest. The password is `written`. What is equal is stored once, so it takes little room.

use std::error::Error;
use std::path::PathBuf;

use kopia_testkit::huge::HugeTree;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut directory, mut shape) = (None, vec![1000, 10, 100]);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--shape" => {
                let list = arguments.next().unwrap_or_default();
                shape = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}").into()),
            _ => directory = Some(PathBuf::from(argument)),
        }
    }
    Ok(HugeTree::new(&shape).write_in(&directory.ok_or("no directory is given")?)?)
}
