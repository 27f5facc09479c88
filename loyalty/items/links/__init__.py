"""Links: where a product's Digital Link leads, as its brand says; the standard is GS1-Conformant Resolver 1.2.

A link belongs to a key, such as a GTIN, or to something more exact: a variant, a lot, an item. Whoever asks for
something exact is offered its own links, and those of everything it is part of: item, variant and lot, lot, variant,
product. The nearest that has what is asked for answers.
"""
