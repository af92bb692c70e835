"""A program of a few bytes, as an image: ends at once, or eats memory when it gets an argument.

Trying an engine needs something to run, and neither a registry nor a compiler can be counted on. The program is written
as machine code in an ELF file: https://refspecs.linuxfoundation.org/elf/elf.pdf, chapter 1.
"""

import io
import platform
import struct
import tarfile

IMAGE = "localhost/fallow-probe:1"
COMMAND = "/probe"
EATEN_BYTES = 256 << 20

# if argc > 1: p = mmap(NULL, 256 MiB, READ|WRITE, PRIVATE|ANONYMOUS, -1, 0), one byte into each page; exit(0)
X86_64 = bytes.fromhex(
    "833c2401"  # cmp dword [rsp], 1
    "7e39"  # jle exit
    "31ff"  # xor edi, edi
    "be00000010"  # mov esi, 0x10000000
    "ba03000000"  # mov edx, 3
    "41ba22000000"  # mov r10d, 0x22
    "49c7c0ffffffff"  # mov r8, -1
    "4531c9"  # xor r9d, r9d
    "b809000000"  # mov eax, 9 (mmap)
    "0f05"  # syscall
    "488d8800000010"  # lea rcx, [rax + 0x10000000]
    "c60001"  # touch: mov byte [rax], 1
    "480500100000"  # add rax, 0x1000
    "4839c8"  # cmp rax, rcx
    "72f2"  # jb touch
    "90"  # nop
    "31ff"  # exit: xor edi, edi
    "b83c000000"  # mov eax, 60 (exit)
    "0f05"  # syscall
)
AARCH64 = struct.pack(
    "<19I",
    0xF94003E9,  # ldr x9, [sp]
    0xF100053F,  # cmp x9, #1
    0x540001CD,  # b.le exit
    0xD2800000,  # mov x0, #0
    0xD2A20001,  # mov x1, #0x10000000
    0xD2800062,  # mov x2, #3
    0xD2800443,  # mov x3, #0x22
    0x92800004,  # mov x4, #-1
    0xD2800005,  # mov x5, #0
    0xD2801BC8,  # mov x8, #222 (mmap)
    0xD4000001,  # svc #0
    0x8B010001,  # add x1, x0, x1
    0x39000002,  # touch: strb w2, [x0]
    0x91400400,  # add x0, x0, #1, lsl #12
    0xEB01001F,  # cmp x0, x1
    0x54FFFFA3,  # b.lo touch
    0xD2800000,  # exit: mov x0, #0
    0xD2800BA8,  # mov x8, #93 (exit)
    0xD4000001,  # svc #0
)
MACHINES = {"x86_64": (62, X86_64), "aarch64": (183, AARCH64)}
BASE = 0x400000
HEADERS = 64 + 56


def program(machine: str = "") -> bytes:
    """The ELF file for this machine. Raises KeyError for one that is not known."""
    number, code = MACHINES[machine or platform.machine()]
    size = HEADERS + len(code)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, BASE + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + code


def root_tar() -> bytes:
    """The image's file system, for `import`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        binary = program()
        entry = tarfile.TarInfo(COMMAND.lstrip("/"))
        entry.size, entry.mode = len(binary), 0o755
        tar.addfile(entry, io.BytesIO(binary))
        for name in ("tmp", "in", "out"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
    return buffer.getvalue()
