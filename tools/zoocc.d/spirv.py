# SPDX-License-Identifier: MIT
# Reads back from SPIR-V words what a kernel's interface really is: buffers, push fields,
# specialization constants, workgroup size, shared memory, capabilities.
"""A small SPIR-V reader; just the instructions that describe an interface."""

import hashlib
import struct

MAGIC = 0x07230203

# The capabilities a compute kernel can meet, by number.
CAPABILITIES = {
    0: "Matrix", 1: "Shader", 9: "Float16", 10: "Float64", 11: "Int64",
    12: "Int64Atomics", 22: "Int16", 39: "Int8", 5: "Linkage", 40: "InputAttachment",
    46: "SampledBuffer", 47: "ImageBuffer", 49: "StorageImageExtendedFormats",
    50: "ImageQuery", 55: "StorageImageReadWithoutFormat",
    56: "StorageImageWriteWithoutFormat", 61: "GroupNonUniform",
    62: "GroupNonUniformVote", 63: "GroupNonUniformArithmetic",
    64: "GroupNonUniformBallot",
    65: "GroupNonUniformShuffle", 66: "GroupNonUniformShuffleRelative",
    67: "GroupNonUniformClustered", 68: "GroupNonUniformQuad", 4423: "SubgroupBallotKHR",
    4433: "StorageBuffer16BitAccess", 4434: "UniformAndStorageBuffer16BitAccess",
    4435: "StoragePushConstant16", 4436: "StorageInputOutput16", 4437: "DeviceGroup",
    4441: "VariablePointersStorageBuffer", 4442: "VariablePointers",
    4448: "StorageBuffer8BitAccess", 4449: "UniformAndStorageBuffer8BitAccess",
    4450: "StoragePushConstant8", 4464: "DenormPreserve", 4465: "DenormFlushToZero",
    4466: "SignedZeroInfNanPreserve", 4467: "RoundingModeRTE", 4468: "RoundingModeRTZ",
    4428: "WorkgroupMemoryExplicitLayoutKHR",
    4429: "WorkgroupMemoryExplicitLayout8BitAccessKHR",
    4430: "WorkgroupMemoryExplicitLayout16BitAccessKHR",
    5055: "ShaderClockKHR", 5116: "BFloat16TypeKHR", 5117: "BFloat16DotProductKHR",
    5118: "BFloat16CooperativeMatrixKHR", 4212: "Float8EXT",
    4213: "Float8CooperativeMatrixEXT", 5297: "GroupNonUniformPartitionedNV",
    5301: "ShaderNonUniform", 5302: "RuntimeDescriptorArray", 5345: "VulkanMemoryModel",
    5346: "VulkanMemoryModelDeviceScope", 5347: "PhysicalStorageBufferAddresses",
    5357: "CooperativeMatrixNV", 5394: "CooperativeVectorNV",
    5430: "CooperativeMatrixReductionsNV", 5431: "CooperativeMatrixConversionsNV",
    5432: "CooperativeMatrixPerElementOperationsNV",
    5433: "CooperativeMatrixTensorAddressingNV", 5434: "CooperativeMatrixBlockLoadsNV",
    5435: "CooperativeVectorTrainingNV", 5439: "TensorAddressingNV",
    6016: "DotProductInputAll", 6017: "DotProductInput4x8Bit",
    6018: "DotProductInput4x8BitPacked", 6019: "DotProduct", 6022: "CooperativeMatrixKHR",
    6026: "GroupNonUniformRotateKHR", 6029: "FloatControls2", 6033: "AtomicFloat32AddEXT",
    5612: "AtomicFloat32MinMaxEXT", 6034: "AtomicFloat64AddEXT",
    6095: "AtomicFloat16AddEXT",
    4473: "UntypedPointersKHR",
}

# Storage classes, decorations, built-ins and modes used below.
UNIFORM_CONSTANT, UNIFORM, WORKGROUP, PUSH_CONSTANT, STORAGE_BUFFER = 0, 2, 4, 9, 12
D_SPEC_ID, D_BUILTIN, D_NON_WRITABLE, D_NON_READABLE = 1, 11, 24, 25
D_BINDING, D_SET, D_OFFSET = 33, 34, 35
BUILTIN_WORKGROUP_SIZE = 25
MODE_LOCAL_SIZE, MODE_LOCAL_SIZE_ID = 17, 38


class NotSpirv(Exception):
    """The bytes are no SPIR-V module that this reader understands."""


def _string(words):
    raw = struct.pack(f"<{len(words)}I", *words)
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


class Spec:
    """A specialization constant. `name` is empty for one made by local_size_*_id."""

    def __init__(self, name, number, kind, default):
        self.name, self.id, self.type, self.default = name, number, kind, default


class Buffer:
    """A block variable: `names` are those of the block's members and of the variable."""

    def __init__(self, names, binding, descriptor_set, element, readonly, writeonly):
        self.names = names
        self.binding = binding
        self.set = descriptor_set
        self.element = element  # "f32", "u16", ...; "struct" when several kinds
        self.readonly = readonly
        self.writeonly = writeonly


class Module:
    """One SPIR-V module and what it says about its interface."""

    def __init__(self, data):
        if len(data) < 20 or len(data) % 4:
            raise NotSpirv("too short")
        self.words = struct.unpack(f"<{len(data) // 4}I", data)
        if self.words[0] != MAGIC:
            raise NotSpirv("no SPIR-V magic number")
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.capabilities, self.extensions, self.entries = [], [], []
        self.local_size, self.local_size_by_id = [1, 1, 1], ()
        self.local_size_id = [-1, -1, -1]
        self.names, self.member_names = {}, {}
        self.decorations, self.member_decorations = {}, {}
        self.types, self.constants, self.variables = {}, {}, []
        self._read()
        self.capabilities = sorted(set(self.capabilities))
        self.extensions = sorted(set(self.extensions))
        self._find_workgroup_size()

    def _read(self):
        at = 5
        while at < len(self.words):
            count, opcode = self.words[at] >> 16, self.words[at] & 0xffff
            if count == 0 or at + count > len(self.words):
                raise NotSpirv(f"broken instruction at word {at}")
            self._instruction(opcode, self.words[at + 1:at + count])
            if opcode == 54:  # OpFunction: the interface is complete
                return
            at += count

    def _instruction(self, opcode, a):
        if opcode == 17:
            self.capabilities.append(CAPABILITIES.get(a[0], f"Capability{a[0]}"))
        elif opcode == 10:
            self.extensions.append(_string(a))
        elif opcode == 15:
            self.entries.append((a[0], a[1], _string(a[2:])))
        elif opcode == 16 and a[1] == MODE_LOCAL_SIZE:
            self.local_size = list(a[2:5])
        elif opcode == 331 and a[1] == MODE_LOCAL_SIZE_ID:
            self.local_size_by_id = a[2:5]
        elif opcode == 5:
            self.names[a[0]] = _string(a[1:])
        elif opcode == 6:
            self.member_names[(a[0], a[1])] = _string(a[2:])
        elif opcode == 71:
            self.decorations.setdefault(a[0], {})[a[1]] = a[2:]
        elif opcode == 72:
            self.member_decorations.setdefault((a[0], a[1]), {})[a[2]] = a[3:]
        elif 19 <= opcode <= 39 or opcode == 4456:
            self.types[a[0]] = (opcode, a[1:])
        elif 41 <= opcode <= 52:
            self._constant(opcode, a)
        elif opcode == 59:
            self.variables.append((a[1], a[0], a[2]))

    # --- constants ----------------------------------------------------------------------

    def _constant(self, opcode, a):
        kind, number, rest = a[0], a[1], a[2:]
        if opcode in (41, 48):
            self.constants[number] = (opcode, kind, 1)
        elif opcode in (42, 49):
            self.constants[number] = (opcode, kind, 0)
        elif opcode in (43, 50):
            self.constants[number] = (opcode, kind, self._literal(kind, rest))
        elif opcode in (44, 51):
            self.constants[number] = (opcode, kind, list(rest))
        elif opcode == 52:
            self.constants[number] = (opcode, kind, self._fold(rest[0], rest[1:]))

    def _literal(self, kind, words):
        opcode, a = self.types.get(kind, (0, ()))
        if opcode == 22:
            codes = {16: "<e", 32: "<f", 64: "<d"}
            raw = struct.pack(f"<{len(words)}I", *words)
            return struct.unpack_from(codes.get(a[0], "<f"), raw)[0]
        value = words[0] | (words[1] << 32 if len(words) > 1 else 0)
        if opcode == 21 and a[1]:
            bits = max(a[0], 32)
            value -= (value >> (bits - 1)) << bits
        return value

    def value(self, number):
        """A constant's default, or None when it cannot be computed."""
        return self.constants.get(number, (0, 0, None))[2]

    def _fold(self, opcode, a):
        """The default of an OpSpecConstantOp, for what shader sizes are made of."""
        if opcode == 81:  # CompositeExtract: literals follow the composite
            value = self.value(a[0])
            for index in a[1:]:
                if not isinstance(value, list):
                    return None
                value = self.value(value[index])
            return value
        values = [self.value(n) for n in a]
        if any(v is None or isinstance(v, list) for v in values):
            return None
        signed = [v - (1 << 32) if isinstance(v, int) and v >> 31 else v for v in values]
        try:
            result = _FOLD[opcode](values, signed)
        except (KeyError, ZeroDivisionError, IndexError):
            return None
        return result & 0xffffffff if isinstance(result, int) else result

    def specs(self):
        """Every constant with a SpecId, in order of declaration."""
        found = []
        for number, (opcode, kind, value) in self.constants.items():
            decoration = self.decorations.get(number, {}).get(D_SPEC_ID)
            if decoration is None or opcode not in (48, 49, 50):
                continue
            found.append(Spec(self.names.get(number, ""), decoration[0],
                              "bool" if opcode != 50 else self.scalar(kind), value))
        return found

    def _find_workgroup_size(self):
        """The extents, and the specialization ids that set them: from the WorkgroupSize
        built-in, or from LocalSizeId."""
        parts = list(self.local_size_by_id)
        for number, decorations in self.decorations.items():
            if decorations.get(D_BUILTIN) == (BUILTIN_WORKGROUP_SIZE,):
                parts = self.value(number) or []
        for axis, part in enumerate(parts):
            self.local_size[axis] = self.value(part)
            spec = self.decorations.get(part, {}).get(D_SPEC_ID)
            if spec is not None:
                self.local_size_id[axis] = spec[0]

    # --- types --------------------------------------------------------------------------

    def scalar(self, kind):
        """"f32", "u8", "bf16", "bool", "struct", ... of a type id."""
        opcode, a = self.types.get(kind, (0, ()))
        if opcode == 21:
            return ("i" if a[1] else "u") + str(a[0])
        if opcode == 22:
            return "bf16" if len(a) > 1 else f"f{a[0]}"
        return {20: "bool", 30: "struct"}.get(opcode, "other")

    def element(self, kind):
        """The scalar that an array, a vector or a plain block is made of."""
        opcode, a = self.types.get(kind, (0, ()))
        if opcode in (23, 24, 28, 29):
            return self.element(a[0])
        if opcode == 30 and a and all(self.element(m) == self.element(a[0]) for m in a):
            return self.element(a[0])
        return self.scalar(kind)

    def layout(self, kind):
        """Size and alignment under std430 rules; None when a length is unknown."""
        opcode, a = self.types.get(kind, (0, ()))
        if opcode == 20:
            return 4, 4
        if opcode in (21, 22):
            return a[0] // 8, a[0] // 8
        if opcode == 23:
            size, _ = self.layout(a[0])
            return size * a[1], size * (4 if a[1] == 3 else a[1])
        if opcode == 28:
            inner, length = self.layout(a[0]), self.value(a[1])
            if inner is None or length is None:
                return None
            return _up(inner[0], inner[1]) * length, inner[1]
        if opcode in (24, 30):
            parts = [self.layout(p) for p in (a if opcode == 30 else [a[0]] * a[1])]
            if any(p is None for p in parts):
                return None
            at, most = 0, 1
            for size, align in parts:
                at, most = _up(at, align) + size, max(most, align)
            return _up(at, most), most
        return None

    # --- the interface ------------------------------------------------------------------

    def _pointee(self, pointer):
        opcode, a = self.types.get(pointer, (0, ()))
        return a[1] if opcode == 32 else None

    def buffers(self):
        """Storage buffers."""
        found = []
        for number, pointer, storage in self.variables:
            if storage != STORAGE_BUFFER:
                continue
            block = self._pointee(pointer)
            decorations = self.decorations.get(number, {})
            members = self.types.get(block, (30, ()))[1]
            names = [self.member_names.get((block, i), "") for i in range(len(members))]
            names.append(self.names.get(number, ""))
            flags = [self.member_decorations.get((block, i), {})
                     for i in range(len(members))]

            def every(flag, decorations=decorations, flags=flags):
                return flag in decorations or all(flag in f for f in flags)
            found.append(Buffer([n for n in names if n],
                                decorations.get(D_BINDING, (-1,))[0],
                                decorations.get(D_SET, (-1,))[0], self.element(block),
                                every(D_NON_WRITABLE), every(D_NON_READABLE)))
        return found

    def other_resources(self):
        """Names of resources that are no storage buffer: images, samplers, uniforms."""
        found = []
        for number, pointer, storage in self.variables:
            if storage in (UNIFORM_CONSTANT, UNIFORM):
                block = self._pointee(pointer)
                found.append(self.names.get(number) or self.names.get(block, "?"))
        return found

    def push(self):
        """(name, offset, type) of every push field, or None without a block."""
        for _, pointer, storage in self.variables:
            if storage == PUSH_CONSTANT:
                block = self._pointee(pointer)
                return [(self.member_names.get((block, i), ""),
                         self.member_decorations.get((block, i), {}).get(D_OFFSET,
                                                                         (-1,))[0],
                         self.scalar(member))
                        for i, member in enumerate(self.types[block][1])]
        return None

    def shared_bytes(self):
        """Bytes of shared memory at the constants' defaults; None when unknown."""
        at = 0
        for _, pointer, storage in self.variables:
            if storage == WORKGROUP:
                layout = self.layout(self._pointee(pointer))
                if layout is None:
                    return None
                at = _up(at, layout[1]) + layout[0]
        return at


def _up(value, align):
    return (value + align - 1) // align * align


# OpSpecConstantOp opcodes; `v` as unsigned, `s` as signed.
_FOLD = {
    113: lambda v, s: v[0], 114: lambda v, s: v[0], 124: lambda v, s: v[0],
    126: lambda v, s: -v[0], 128: lambda v, s: v[0] + v[1], 130: lambda v, s: v[0] - v[1],
    132: lambda v, s: v[0] * v[1], 134: lambda v, s: v[0] // v[1],
    135: lambda v, s: int(s[0] / s[1]), 137: lambda v, s: v[0] % v[1],
    138: lambda v, s: s[0] - int(s[0] / s[1]) * s[1], 139: lambda v, s: s[0] % s[1],
    194: lambda v, s: v[0] >> v[1], 195: lambda v, s: s[0] >> v[1],
    196: lambda v, s: v[0] << v[1], 197: lambda v, s: v[0] | v[1],
    198: lambda v, s: v[0] ^ v[1], 199: lambda v, s: v[0] & v[1],
    200: lambda v, s: ~v[0], 164: lambda v, s: int(v[0] == v[1]),
    165: lambda v, s: int(v[0] != v[1]), 166: lambda v, s: int(bool(v[0] or v[1])),
    167: lambda v, s: int(bool(v[0] and v[1])), 168: lambda v, s: int(not v[0]),
    169: lambda v, s: v[1] if v[0] else v[2], 170: lambda v, s: int(v[0] == v[1]),
    171: lambda v, s: int(v[0] != v[1]), 172: lambda v, s: int(v[0] > v[1]),
    173: lambda v, s: int(s[0] > s[1]), 174: lambda v, s: int(v[0] >= v[1]),
    175: lambda v, s: int(s[0] >= s[1]), 176: lambda v, s: int(v[0] < v[1]),
    177: lambda v, s: int(s[0] < s[1]), 178: lambda v, s: int(v[0] <= v[1]),
    179: lambda v, s: int(s[0] <= s[1]),
}
