//! The bytes of Kopia repositories, turned into validated values
