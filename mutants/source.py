"""A source file with its mutants behind switches, and the module that holds the switches."""

SWITCHES = """//! Which mutant is on; this module exists only in the copy that the mutants are built from.

use std::io::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ON: LazyLock<u32> =
    LazyLock::new(|| std::env::var("TOWER_SIGNIN_MUTANT").ok().and_then(|id| id.parse().ok()).unwrap_or(0));
static TRACE: LazyLock<Option<std::fs::File>> = LazyLock::new(|| {
    let path = std::env::var_os("TOWER_SIGNIN_MUTANT_TRACE")?;
    std::fs::OpenOptions::new().append(true).create(true).open(path).ok()
});
static REACHED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

/// The mutant of `first..=last` that is on, or 0.
pub(crate) fn among(first: u32, last: u32) -> u32 {
    if let Some(mut file) = TRACE.as_ref()
        && !REACHED[first as usize].swap(true, Ordering::Relaxed)
    {
        let lines: String = (first..=last).map(|id| format!("{id}\\n")).collect();
        let _ = file.write_all(lines.as_bytes());
    }
    if (first..=last).contains(&*ON) { *ON } else { 0 }
}

pub(crate) fn on(id: u32) -> bool {
    among(id, id) == id
}
"""


class Source:
    """One file, with its mutants behind switches."""

    def __init__(self, source, mutants, still_const):
        import tree_sitter_rust
        from tree_sitter import Language, Parser

        self.source = source
        self.still_const = still_const
        self.not_const = set()
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self.starts = starts
        self.at = {}
        tree = Parser(Language(tree_sitter_rust.language())).parse(source)
        self.root = tree.root_node
        for mutant in mutants:
            node = self.node_for(mutant)
            if node is None:
                mutant["left"] = "no place for a switch"
            else:
                self.at.setdefault(node.id, []).append(mutant)

    def offset(self, position):
        line = self.source[self.starts[position["line"] - 1] : self.starts[position["line"]]].decode()
        return self.starts[position["line"] - 1] + len(line[: position["column"] - 1].encode())

    def node_for(self, mutant):
        start, end = self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])
        node = self.root.descendant_for_byte_range(start, end)
        genre = mutant["genre"]
        if self.in_constant(node):
            return None
        if genre == "FnValue":
            while node and node.type != "function_item":
                node = node.parent
            return node.child_by_field_name("body") if node else None
        if genre == "BinaryOperator":
            node = node.parent
            return node if node and node.type in ("binary_expression", "compound_assignment_expr") else None
        if genre == "UnaryOperator":
            node = node.parent
            return node if node and node.type == "unary_expression" else None
        if genre == "MatchArmGuard":
            while node and node.parent and node.parent.type != "match_pattern":
                node = node.parent
            return node if node and node.parent and node.parent.child_by_field_name("condition") == node else None
        if genre == "MatchArm":
            while node and node.type != "match_arm":
                node = node.parent
            return node.child_by_field_name("pattern") if node else None
        node = self.root.descendant_for_byte_range(start, start + 1)
        while node and node.type not in ("field_initializer", "shorthand_field_initializer"):
            node = node.parent
        return node

    def in_constant(self, node):
        while node:
            if node.type in ("const_item", "static_item", "const_block"):
                return True
            if node.type == "function_item":
                modifiers = next((child for child in node.children if child.type == "function_modifiers"), None)
                if modifiers is None or b"const" not in modifiers.text:
                    return False
                if node.child_by_field_name("name").text.decode() in self.still_const:
                    return True
                self.not_const.add(modifiers.id)
                return False
            if node.type == "array_type":
                return True
            node = node.parent
        return False

    def render(self):
        return self.text(self.root)

    def text(self, node):
        pieces, at = [], node.start_byte
        for child in node.children:
            pieces += [self.source[at : child.start_byte], self.text(child)]
            at = child.end_byte
        pieces.append(self.source[at : node.end_byte])
        if node.id in self.not_const:
            return b"".join(pieces).replace(b"const", b"")
        text = b"".join(pieces) if node.parent else self.source[: node.start_byte] + b"".join(pieces) + self.source[node.end_byte :]
        return self.switched(node, text) if node.id in self.at else text

    def switched(self, node, text):
        # Of what stands at one node there are function values, or an operator's replacements, or guards: one kind.
        mutants = self.at[node.id]
        genre = mutants[0]["genre"]
        if genre == "FnValue":
            lines = b"".join(
                b"\n/*M%d*/ if crate::mutants::on(%d) { return %s; }" % (m["id"], m["id"], m["replacement"].encode()) for m in mutants
            )
            return b"{" + lines + b"\n/*M0*/" + text[1:]
        if genre == "MatchArm":
            (mutant,) = mutants
            switch = b"!crate::mutants::on(%d)" % mutant["id"]
            if node.child_by_field_name("condition"):
                pattern, _, guard = text.partition(b" if ")
                return b"%s if /*M%d*/ %s && (%s)" % (pattern, mutant["id"], switch, guard)
            return b"%s /*M%d*/ if %s" % (text, mutant["id"], switch)
        if genre == "MatchArmGuard":
            for mutant in mutants:
                word = mutant["replacement"].strip()
                on = b"crate::mutants::on(%d)" % mutant["id"]
                text = b"(/*M%d*/ %s%s (%s))" % (mutant["id"], b"" if word == "true" else b"!", on + (b" ||" if word == "true" else b" &&"), text)
            return text
        if genre == "StructField":
            (mutant,) = mutants
            shorthand = node.type == "shorthand_field_initializer"
            name = text if shorthand else node.child_by_field_name("field").text
            value = text if shorthand else self.text(node.child_by_field_name("value"))
            kind = node.parent.parent.child_by_field_name("name").text
            base = next(child for child in node.parent.children if child.type == "base_field_initializer").children[-1]
            plain = base.type in ("identifier", "self")
            instead = b"{ %s.%s }" % (base.text, name) if plain else b"{ let base: %s = %s; base.%s }" % (kind, self.text(base), name)
            return b"%s: if /*M%d*/ crate::mutants::on(%d) %s else { %s }" % (name, mutant["id"], mutant["id"], instead, value)
        first, last = mutants[0]["id"], mutants[-1]["id"]
        arms = b"".join(b" /*M%d*/ %d => { %s }" % (m["id"], m["id"], self.replaced(node, m)) for m in mutants)
        # Parentheses inside braces keep `a as b < c` and struct literals from being read as something else.
        switch = b"match crate::mutants::among(%d, %d) {%s /*M0*/ _ => { %s } }" % (first, last, arms, text)
        return switch if node.type == "compound_assignment_expr" else b"(" + switch + b")"

    def replaced(self, node, mutant):
        if node.type == "unary_expression":
            return self.text(node.children[-1])
        operator = node.child_by_field_name("operator")
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        assert self.source[operator.start_byte : operator.end_byte]
        return b"%s %s %s" % (self.text(left), mutant["replacement"].encode(), self.text(right))
