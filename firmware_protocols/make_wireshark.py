"""Writes ``wireshark/isoalign.lua``: a dissector that shows every frame and image record with names and units."""

from __future__ import annotations

from definitions import NOT_AVAILABLE, Definitions, EnumDefinition, FieldDefinition, MessageDefinition

HEAD = """-- Wireshark dissector of the isoalign firmware protocol, version {major}.{minor}.
--
-- Generated from the definitions in firmware_protocols by generate.py; do not edit.
--
-- Use: copy it into the personal Lua plugins folder, or  tshark -X lua_script:isoalign.lua -r capture.pcapng
-- Ports: Preferences, Protocols, ISOALIGN and ISOALIGN_IMAGE; they begin with those of the example room.

local BULK_RECORD_MAX_BYTES = {bulk}
local NOT_AVAILABLE = {{ i32 = -2147483648, u32 = 4294967295 }}

"""

CODE = """
local isoalign = Proto("isoalign", "isoalign firmware protocol")
local image = Proto("isoalign_image", "isoalign image records")

isoalign.prefs.ports = Pref.range("TCP ports", "47010,47020,47021,47030,47031", "Control connections", 65535)
image.prefs.ports = Pref.range("TCP ports", "47022,47032", "Image connections", 65535)
image.prefs.check = Pref.bool("Check CRC", true, "Checking large images takes time")

-- ---- fields -------------------------------------------------------------------------------------------------------

local FTYPE = {
    u8 = ftypes.UINT8, u16 = ftypes.UINT16, u32 = ftypes.UINT32, u64 = ftypes.UINT64,
    i16 = ftypes.INT16, i32 = ftypes.INT32, text = ftypes.STRING, data = ftypes.BYTES,
}
local WIDTH = { u8 = 1, u16 = 2, u32 = 4, u64 = 8, i16 = 2, i32 = 4 }

local function new_fields(proto, prefix)
    local f = {
        len = ProtoField.uint32(prefix .. ".len", "Length", base.DEC),
        msg = ProtoField.uint16(prefix .. ".msg", "Message", base.HEX),
        crc = ProtoField.uint32(prefix .. ".crc", "CRC-32", base.HEX),
        crc_ok = ProtoField.bool(prefix .. ".crc_ok", "CRC is right"),
    }
    local all = { f.len, f.msg, f.crc, f.crc_ok }
    if proto == isoalign then
        f.flags = ProtoField.uint8(prefix .. ".flags", "Flags", base.HEX)
        f.session = ProtoField.uint32(prefix .. ".session", "Session", base.HEX)
        f.seq = ProtoField.uint16(prefix .. ".seq", "Sequence number", base.DEC)
        f.ack = ProtoField.uint16(prefix .. ".ack", "Acknowledged sequence number", base.DEC)
        f.tx_time = ProtoField.uint32(prefix .. ".tx_time", "Sent at, low 32 bits (µs)", base.DEC)
        for _, one in ipairs({ f.flags, f.session, f.seq, f.ack, f.tx_time }) do
            all[#all + 1] = one
        end
    end
    for _, message in pairs(MESSAGES) do
        if message.bulk == (proto == image) then
            for _, field in ipairs(message.fields) do
                local abbreviation = prefix .. "." .. message.name:lower() .. "." .. field.name
                field.proto = ProtoField.new(field.name, abbreviation, FTYPE[field.type])
                all[#all + 1] = field.proto
            end
        end
    end
    proto.fields = all
    return f
end

local frame_fields = new_fields(isoalign, "isoalign")
local record_fields = new_fields(image, "isoalign_image")

local function new_experts(proto, prefix)
    local e = {
        crc = ProtoExpert.new(prefix .. ".bad_crc", "CRC does not match", expert.group.CHECKSUM, expert.severity.ERROR),
        range = ProtoExpert.new(prefix .. ".range", "Value out of range", expert.group.PROTOCOL, expert.severity.ERROR),
        malformed = ProtoExpert.new(prefix .. ".bad", "Not valid", expert.group.MALFORMED, expert.severity.ERROR),
    }
    proto.experts = { e.crc, e.range, e.malformed }
    return e
end

local frame_experts = new_experts(isoalign, "isoalign")
local record_experts = new_experts(image, "isoalign_image")

-- ---- checksum and stuffing ----------------------------------------------------------------------------------------

local bits = bit or bit32
local crc_table = {}
for number = 0, 255 do
    local value = number
    for _ = 1, 8 do
        local odd = value % 2 == 1
        value = math.floor(value / 2)
        if odd then
            value = bits.bxor(value, 0xEDB88320) % 4294967296
        end
    end
    crc_table[number] = value
end

local function crc32(text, seed)
    local register = 4294967295 - seed
    for at = 1, #text do
        local index = bits.bxor(register % 256, text:byte(at)) % 256
        register = bits.bxor(math.floor(register / 256), crc_table[index]) % 4294967296
    end
    return 4294967295 - register
end

-- The content of the bytes between two delimiters, or nil and what is wrong.
local function unstuff(text)
    local parts, at = {}, 1
    while at <= #text do
        local code = text:byte(at)
        if at + code - 1 > #text then
            return nil, "the last run of the byte stuffing is not complete"
        end
        parts[#parts + 1] = text:sub(at + 1, at + code - 1)
        at = at + code
        if code < 255 and at <= #text then
            parts[#parts + 1] = "\\0"
        end
    end
    return table.concat(parts)
end

-- ---- fields of a payload ------------------------------------------------------------------------------------------

local function flags_text(enum, value)
    local names, left = {}, value
    for _, one in ipairs(enum.order) do
        if math.floor(value / one) % 2 == 1 then
            names[#names + 1] = enum.names[one]
            left = left - one
        end
    end
    return #names > 0 and table.concat(names, " | ") or "none", left == 0
end

-- The words for a number, and whether it is allowed.
local function explain(field, value, index)
    if field.enum then
        local enum = ENUMS[field.enum]
        if enum.flags then
            local words, known = flags_text(enum, value)
            return string.format("%s (0x%X)", words, value), known
        end
        local name = enum.names[value]
        return string.format("%s (%d)", name or "undefined", value), name ~= nil
    end
    if field.nullable and value == NOT_AVAILABLE[field.type] then
        return "not available", true
    end
    local unit = field.units[#field.units] or ""
    if #field.units > 1 and index < field.count / 2 then
        unit = field.units[1]
    end
    local known = not field.min or (value >= field.min and value <= field.max)
    return string.format("%d %s", value, unit), known
end

local function add_number(tree, field, range, index, e)
    local item = tree:add_le(field.proto, range)
    local label = field.count > 1 and string.format("%s[%d]", field.name, index) or field.name
    if field.type == "u64" then
        item:set_text(string.format("%s: %s %s", label, tostring(range:le_uint64()), field.units[1] or ""))
        return
    end
    local value = field.type:sub(1, 1) == "i" and range:le_int() or range:le_uint()
    local words, known = explain(field, value, index)
    item:set_text(label .. ": " .. words)
    if not known then
        item:add_proto_expert_info(e.range)
    end
end

local function add_fields(tree, message, tvb, at, last, e)
    for _, field in ipairs(message.fields) do
        if field.type == "data" then
            if last > at then
                tree:add(field.proto, tvb(at, last - at)):append_text(" " .. (field.units[1] or ""))
            end
            at = last
        elseif field.type == "text" then
            local raw = tvb(at, field.count):raw()
            local item = tree:add(field.proto, tvb(at, field.count))
            if raw:gsub("\\0+$", ""):find("[\\0\\128-\\255]") then
                item:add_proto_expert_info(e.range)
            end
            at = at + field.count
        else
            for index = 0, field.count - 1 do
                add_number(tree, field, tvb(at, WIDTH[field.type]), index, e)
                at = at + WIDTH[field.type]
            end
        end
    end
end

-- ---- frames -------------------------------------------------------------------------------------------------------

local function refuse(tree, range, why)
    tree:add_proto_expert_info(frame_experts.malformed, why)
    tree:append_text(": " .. why)
    return why, range
end

-- One frame between two delimiters; returns words for the list of packets.
local function dissect_frame(range, tree)
    local top = tree:add(isoalign, range, "isoalign")
    local content, why = unstuff(range:raw())
    if content and #content < 20 then
        why = "shorter than header and CRC"
    end
    if why then
        return refuse(top, range, why)
    end
    local tvb = ByteArray.new(content, true):tvb("isoalign frame")
    local length, id = content:byte(1), content:byte(2) + 256 * content:byte(3)
    local message = MESSAGES[id]
    local name = message and message.name or string.format("unknown message 0x%04X", id)
    top:set_text("isoalign " .. name)
    local f, e, payload_end = frame_fields, frame_experts, #content - 4
    local header = top:add(isoalign, tvb(0, 16), "Header")
    header:add_le(f.len, tvb(0, 1))
    header:add_le(f.msg, tvb(1, 2)):append_text(" " .. name)
    header:add_le(f.flags, tvb(3, 1))
    header:add_le(f.session, tvb(4, 4))
    header:add_le(f.seq, tvb(8, 2))
    header:add_le(f.ack, tvb(10, 2))
    header:add_le(f.tx_time, tvb(12, 4)):append_text(" µs")
    if length ~= payload_end - 16 then
        return refuse(top, range, "the length in the header is not that of the payload")
    elseif not message or message.bulk then
        return refuse(top, range, name)
    end
    local right = crc32(content:sub(1, payload_end), message.seed) == tvb(payload_end, 4):le_uint()
    if right and length == message.bytes then
        add_fields(top, message, tvb, 16, payload_end, e)
    end
    top:add_le(f.crc, tvb(payload_end, 4))
    local verdict = top:add(f.crc_ok, right)
    verdict:set_generated()
    if not right then
        verdict:add_proto_expert_info(e.crc)
        return name .. " [bad CRC]"
    elseif length ~= message.bytes then
        return refuse(top, range, string.format("%s has %d bytes, not %d", name, message.bytes, length))
    elseif content:byte(4) ~= 0 then
        return refuse(top, range, "reserved flags are set")
    end
    return name
end

function isoalign.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "isoalign"
    local raw, at, seen = tvb:raw(), 1, {}
    while at <= #raw do
        local stop = raw:find("\\0", at, true)
        if not stop then
            pinfo.desegment_offset = at - 1
            pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
            break
        end
        if stop > at then
            seen[#seen + 1] = dissect_frame(tvb(at - 1, stop - at), tree)
        end
        at = stop + 1
    end
    if #seen > 0 then
        pinfo.cols.info = table.concat(seen, ", ")
    end
    return tvb:len()
end

-- ---- image records ------------------------------------------------------------------------------------------------

local function dissect_record(tvb, pinfo, tree)
    pinfo.cols.protocol = "isoalign image"
    local top = tree:add(image, tvb(), "isoalign image record")
    local f, e, last = record_fields, record_experts, tvb:len() - 4
    top:add_le(f.len, tvb(0, 4))
    if last < 6 or tvb(0, 4):le_uint() ~= tvb:len() - 4 then
        top:add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    local id = tvb(4, 2):le_uint()
    local message = MESSAGES[id]
    if not message or not message.bulk then
        top:add_le(f.msg, tvb(4, 2)):add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    top:set_text("isoalign " .. message.name)
    top:add_le(f.msg, tvb(4, 2)):append_text(" " .. message.name)
    pinfo.cols.info = message.name
    local content = last - 6
    if content < message.bytes or (content > message.bytes and not message.data) then
        top:add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    add_fields(top, message, tvb, 6, last, e)
    top:add_le(f.crc, tvb(last, 4))
    if image.prefs.check then
        local right = crc32(tvb:raw(4, last - 4), message.seed) == tvb(last, 4):le_uint()
        local verdict = top:add(f.crc_ok, right)
        verdict:set_generated()
        if not right then
            verdict:add_proto_expert_info(e.crc)
        end
    end
    return tvb:len()
end

local function record_length(tvb, _, offset)
    local length = tvb(offset, 4):le_uint()
    if length > BULK_RECORD_MAX_BYTES then
        return tvb:len() - offset -- the stream is lost
    end
    return 4 + length
end

function image.dissector(tvb, _, tree)
    dissect_tcp_pdus(tvb, tree, 4, record_length, dissect_record)
    return tvb:len()
end

-- ---- ports --------------------------------------------------------------------------------------------------------

local tcp = DissectorTable.get("tcp.port")
local function follow_preferences(proto)
    local now = proto.prefs.ports
    tcp:add(now, proto)
    function proto.prefs_changed()
        if now ~= proto.prefs.ports then
            tcp:remove(now, proto)
            now = proto.prefs.ports
            tcp:add(now, proto)
        end
    end
end
follow_preferences(isoalign)
follow_preferences(image)
"""


def _enum(enum: EnumDefinition) -> list[str]:
    names = ", ".join(f'[{value}] = "{name}"' for name, value, _ in enum.values)
    order = ", ".join(str(value) for _, value, _ in enum.values)
    return [
        f"    {enum.name} = {{",
        f"        flags = {str(enum.flags).lower()},",
        f"        names = {{ {names} }},",
        f"        order = {{ {order} }},",
        "    },",
    ]


def _field(field: FieldDefinition) -> str:
    units = ", ".join(f'"{unit}"' for unit in field.unit.split("|") if unit)
    parts = [f'name = "{field.name}"', f'type = "{field.type}"', f"count = {field.count}", f"units = {{ {units} }}"]
    if field.enum:
        parts.append(f'enum = "{field.enum}"')
    elif field.minimum is not None and field.type != "u64":
        assert not field.nullable or field.type in NOT_AVAILABLE
        parts += [f"min = {field.minimum}", f"max = {field.maximum}"]
    if field.nullable:
        parts.append("nullable = true")
    return f"            {{ {', '.join(parts)} }},"


def _message(message: MessageDefinition) -> list[str]:
    data = any(field.type == "data" for field in message.fields)
    return [
        f"    [0x{message.id:04X}] = {{",
        f'        name = "{message.name}", seed = 0x{message.seed:08X}, bytes = {message.byte_count},',
        f"        bulk = {str(message.kind == 'bulk').lower()}, data = {str(data).lower()},",
        "        fields = {",
        *(_field(field) for field in message.fields),
        "        },",
        "    },",
    ]


def wireshark_dissector(definitions: Definitions) -> str:
    """The text of isoalign.lua."""
    bulk = next(value for _, name, value, _ in definitions.constants if name == "bulk_record_max_bytes")
    for message in definitions.messages:
        for field in message.fields:  # 64-bit numbers are shown, not compared
            if field.type == "u64":
                assert (field.minimum, field.maximum) == (0, 2**64 - 1)
                assert not field.nullable
    out = [HEAD.format(major=definitions.major, minor=definitions.minor, bulk=bulk) + "local ENUMS = {"]
    for enum in definitions.enums:
        out += _enum(enum)
    out += ["}", "", "local MESSAGES = {"]
    for message in definitions.messages:
        out += _message(message)
    out.append("}")
    return "\n".join(out) + "\n" + CODE
