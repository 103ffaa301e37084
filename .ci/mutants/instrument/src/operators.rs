//! What an operator may become.

use syn::{BinOp, Expr, ExprBinary};

/// The operators that take the place of the one of `binary`. Those that do not compile are found out later.
pub(crate) fn instead_of(binary: &ExprBinary) -> &'static [&'static str] {
    match binary.op {
        // Flags have no bit in common, so that `^` would be the same.
        BinOp::BitOr(_) if are_flags(&binary.left) && are_flags(&binary.right) => &["&"],
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Lt(_) => &["==", ">", "<="],
        BinOp::Gt(_) => &["==", "<", ">="],
        BinOp::Le(_) => &[">"],
        BinOp::Ge(_) => &["<"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) | BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) | BinOp::MulAssign(_) => &["+=", "/="],
        BinOp::DivAssign(_) => &["%=", "*="],
        BinOp::RemAssign(_) => &["/=", "+="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        BinOp::BitXorAssign(_) => &["|=", "&="],
        BinOp::ShlAssign(_) => &[">>="],
        BinOp::ShrAssign(_) => &["<<="],
        _ => &[],
    }
}

/// Returns true for named constants, such as `OFlags::CREATE`, and some of them joined by `|`.
fn are_flags(operand: &Expr) -> bool {
    match operand {
        Expr::Path(named) => named.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            name.contains(|letter: char| letter.is_ascii_uppercase()) && name == name.to_ascii_uppercase()
        }),
        Expr::Binary(joined) if matches!(joined.op, BinOp::BitOr(_)) => {
            are_flags(&joined.left) && are_flags(&joined.right)
        }
        Expr::Paren(inner) => are_flags(&inner.expr),
        _ => false,
    }
}

/// Returns true for `+=` and its like, whose left side is a place and takes no brackets.
pub(crate) fn assigns(operator: &BinOp) -> bool {
    matches!(
        operator,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}
