//! Walks through the syntax of a file: what counts as a place, and what stays as it is.

use crate::source::{range, squeezed};
use crate::visitor::{Alternative, Visitor};
use crate::{excluded, operators};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::*;

impl<'ast> Visit<'ast> for Visitor<'_> {
    // What the compiler computes cannot be switched, nor can what only describes values or types.
    fn visit_item_const(&mut self, _: &'ast ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast ExprConst) {}
    fn visit_item_enum(&mut self, _: &'ast ItemEnum) {}
    fn visit_generics(&mut self, _: &'ast Generics) {}
    fn visit_angle_bracketed_generic_arguments(&mut self, _: &'ast AngleBracketedGenericArguments) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if excluded::by_attributes(self.source, &module.attrs) {
            return;
        }
        let name = module.ident.to_string();
        if module.content.is_none() {
            self.modules.push((self.inline.clone(), name));
            return;
        }
        self.inline.push(name.clone());
        self.within(name, |this| visit::visit_item_mod(this, module));
        self.inline.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !excluded::by_attributes(self.source, &item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if excluded::by_attributes(self.source, &item.attrs) {
            return;
        }
        let own = squeezed(self.source.of(&item.self_ty));
        let implemented = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        let implemented = implemented.map(|last| last.ident.to_string());
        let outer = self.kept_body.take();
        self.kept_body = match implemented.as_deref() {
            Some("Debug") => Some("fmt"),
            Some("Default") => Some("default"),
            _ => None,
        };
        let name = implemented.map_or(own.clone(), |implemented| format!("<{own} as {implemented}>"));
        self.within(name, |this| visit::visit_item_impl(this, item));
        self.kept_body = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !excluded::by_attributes(self.source, &item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if !excluded::by_attributes(self.source, &item.attrs) {
            self.within(item.ident.to_string(), |this| visit::visit_item_trait(this, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default
            && !excluded::by_attributes(self.source, &item.attrs)
        {
            self.function(&item.sig, block);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        let joins = matches!(binary.op, BinOp::And(_) | BinOp::Or(_));
        let others = operators::instead_of(binary);
        if !others.is_empty() && !(joins && (excluded::binds(&binary.left) || excluded::binds(&binary.right)))
        {
            let (left, right) = (self.source.of(&binary.left), self.source.of(&binary.right));
            let assigns = operators::assigns(&binary.op);
            let alternatives = others.iter().map(|&other| {
                // Beside another operator, operands may bind otherwise: they are put into brackets.
                let code = if assigns {
                    format!("{left} {other} {right}")
                } else {
                    format!("({left}) {other} ({right})")
                };
                Alternative::new(code, other)
            });
            let whole = range(&binary.left).start..range(&binary.right).end;
            let was = self.source.of(&binary.op);
            self.expression(whole, binary.op.span(), was, "operator", alternatives.collect());
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast ExprUnary) {
        if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let whole = range(&unary.op).start..range(&unary.expr).end;
            let without = vec![Alternative::new(self.source.of(&unary.expr), "deleted")];
            self.expression(whole, unary.op.span(), self.source.of(&unary.op), "unary", without);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, chosen: &'ast ExprMatch) {
        self.visit_expr(&chosen.expr);
        let is_wild = |arm: &Arm| arm.guard.is_none() && matches!(arm.pat, Pat::Wild(_));
        let has_wild = chosen.arms.iter().any(is_wild);
        for arm in &chosen.arms {
            if excluded::by_attributes(self.source, &arm.attrs) {
                continue;
            }
            if has_wild && !is_wild(arm) {
                self.arm(arm);
            }
            if let Some((_, guard)) = &arm.guard {
                self.guard(guard);
                self.visit_expr(guard);
            }
            self.visit_expr(&arm.body);
        }
    }
}
