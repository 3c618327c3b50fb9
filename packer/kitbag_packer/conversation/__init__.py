"""Finds out by questions what shall be packed: which questions, in which order, and what follows.

How a question is put to a person is behind :class:`kitbag_packer.conversation.asking.Asker`; this
package knows no terminal.
"""
