"""Names that a file may give, and those that have a meaning already."""

from __future__ import annotations

from keyword import iskeyword

from cnncalc.errors import ReferenceSpecError, shorten

MAX_NAME = 100
RESERVED = frozenset(
    """
    input T_destination add_module add_submodule apply bfloat16 buffers call_super_init
    children code compile cpu cuda delete_all_unused_submodules delete_submodule double
    dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule graph half ipu load_state_dict meta modules mtia named_buffers
    named_children named_modules named_parameters parameters print_readable recompile
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook
    requires_grad_ set_extra_state set_submodule shape_env share_memory state_dict to to_empty
    to_folder train training type xpu zero_grad
    """.split()  # noqa: SIM905 - a list of as many lines reads worse
)
"""Names that a torch.nn.Module, or a torch.fx.GraphModule, has already."""


def check_name(name: object) -> str:
    """A name given in the file. Raises `ReferenceSpecError` if it may not be used."""
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
        raise ReferenceSpecError(
            f"{shorten(name)} is no identifier", hint="letters, digits and _, no digit first"
        )
    if len(name) > MAX_NAME:
        raise ReferenceSpecError(f"a name of over {MAX_NAME} characters")
    if name == "input":
        raise ReferenceSpecError(
            "'input' is reserved", hint="it means the network's input: choose another"
        )
    if name in RESERVED or name.startswith("_") or iskeyword(name):
        owner = "Python" if iskeyword(name) else "a torch.nn.Module"
        raise ReferenceSpecError(
            f"{shorten(name)} is reserved", hint=f"it has a meaning for {owner}: choose another"
        )
    return name
