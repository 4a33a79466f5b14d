#!/usr/bin/env python3
"""Makes the files of this directory: codec configurations and first frames, cut from what real encoders wrote.

usage: make.py FFMPEG        FFMPEG 8 or newer, with the encoders named below

Every case is encoded to FLV (VVC and VP8, which FFmpeg does not put into FLV, to MP4 and IVF). The payload of the sequence start
becomes `<name>.config`, the head of the first coded frame `<name>.frame` where frames describe themselves. README.md says which FFmpeg made them.
"""
import pathlib, struct, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).parent
FRAME_HEAD = 96
TELLING_FRAMES = ("h264-in-band", "hevc-kvazaar", "av1", "vp9", "opus", "ac3", "eac3", "mp3")
CONTAINERS = {"vvc": "mp4", "vp8": "ivf"}

def picture(size, rate, pixels):
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}", "-frames:v", "12", "-pix_fmt", pixels]

def sound(rate, layout):
    return ["-f", "lavfi", "-i", f"anoisesrc=r={rate}:a=0.1,aformat=channel_layouts={layout}", "-t", "0.3"]

CASES = {
    "h264-high-1080p-b": picture("1920x1080", "30000/1001", "yuv420p") + ["-c:v", "libx264", "-bf", "3"],
    "h264-high-1080i-b": picture("1920x1080", "25", "yuv420p") + ["-c:v", "libx264", "-flags", "+ildct+ilme"],
    "h264-baseline-360p": picture("640x360", "15", "yuv420p") + ["-c:v", "libx264", "-profile:v", "baseline"],
    "h264-high10-540p": picture("960x540", "50", "yuv420p10") + ["-c:v", "libx264"],
    "h264-high422-480p": picture("854x480", "24", "yuv422p") + ["-c:v", "libx264"],
    "h264-high444-242p": picture("320x242", "25", "yuv444p") + ["-c:v", "libx264"],
    "h264-openh264-720p": picture("1280x720", "30", "yuv420p") + ["-c:v", "libopenh264"],
    "h264-in-band-720p": picture("1280x720", "30", "yuv420p") + ["-c:v", "libx264", "-bsf:v", "dump_extra"],
    "hevc-main-720p": picture("1280x720", "30", "yuv420p") + ["-c:v", "libx265"],
    "hevc-main10-1080p": picture("1920x1080", "60000/1001", "yuv420p10") + ["-c:v", "libx265", "-x265-params",
        "hdr-opt=1:repeat-headers=0:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"],
    "hevc-main-480p-no-b": picture("848x480", "25", "yuv420p") + ["-c:v", "libx265", "-x265-params", "bframes=0"],
    "hevc-rext422-10-362p": picture("642x362", "25", "yuv422p10") + ["-c:v", "libx265"],
    "hevc-scaling-hrd": picture("640x360", "30", "yuv420p") + ["-c:v", "libx265", "-x265-params",
        "scaling-list=default:hrd=1:vbv-maxrate=1000:vbv-bufsize=1000"],
    "hevc-kvazaar-360p": picture("640x360", "30", "yuv420p") + ["-c:v", "libkvazaar"],
    "av1-svt-720p": picture("1280x720", "30", "yuv420p") + ["-c:v", "libsvtav1", "-preset", "12"],
    "av1-svt-1080p-10": picture("1920x1080", "60", "yuv420p10") + ["-c:v", "libsvtav1", "-preset", "12"],
    "av1-aom-444": picture("320x180", "25", "yuv444p") + ["-c:v", "libaom-av1", "-cpu-used", "8"],
    "av1-aom-gray": picture("320x180", "25", "gray") + ["-c:v", "libaom-av1", "-cpu-used", "8"],
    "av1-rav1e": picture("426x240", "24", "yuv420p") + ["-c:v", "librav1e", "-speed", "10"],
    "vp9-720p": picture("1280x720", "30", "yuv420p") + ["-c:v", "libvpx-vp9", "-deadline", "realtime"],
    "vp9-profile2-10": picture("640x360", "30", "yuv420p10") + ["-c:v", "libvpx-vp9", "-deadline", "realtime"],
    "vp8-360p": picture("640x360", "30", "yuv420p") + ["-c:v", "libvpx", "-deadline", "realtime"],
    "vvc-360p-10": picture("640x360", "30", "yuv420p10") + ["-c:v", "libvvenc", "-preset", "faster"],
    "aac-lc-48k-stereo": sound(48000, "stereo") + ["-c:a", "aac"],
    "aac-lc-44k-mono": sound(44100, "mono") + ["-c:a", "aac"],
    "aac-lc-48k-5.1": sound(48000, "5.1") + ["-c:a", "aac"],
    "aac-lc-48k-quad-pce": sound(48000, "quad") + ["-c:a", "aac"],
    "opus-stereo": sound(48000, "stereo") + ["-c:a", "libopus"],
    "opus-mono-60ms": sound(48000, "mono") + ["-c:a", "libopus", "-frame_duration", "60"],
    "opus-5.1": sound(48000, "5.1") + ["-c:a", "libopus", "-mapping_family", "1"],
    "flac-48k-stereo": sound(48000, "stereo") + ["-sample_fmt", "s16", "-c:a", "flac"],
    "flac-96k-mono-32": sound(96000, "mono") + ["-sample_fmt", "s32", "-c:a", "flac"],
    "ac3-48k-stereo": sound(48000, "stereo") + ["-c:a", "ac3"],
    "ac3-44k-5.1": sound(44100, "5.1") + ["-c:a", "ac3"],
    "eac3-48k-5.1": sound(48000, "5.1") + ["-c:a", "eac3"],
    "eac3-32k-mono": sound(32000, "mono") + ["-c:a", "eac3"],
    "mp3-44k-stereo": sound(44100, "stereo") + ["-c:a", "libmp3lame"],
    "mp3-22k-mono": sound(22050, "mono") + ["-c:a", "libmp3lame"],
}

def flv_tags(data):
    at = 13
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1:at + 4], "big")
        yield data[at], data[at + 11:at + 11 + size]
        at += 15 + size

def body(kind, tag):
    """(packet type, payload without the FLV header) of an audio (8) or video (9) tag, None for anything else."""
    first = tag[0]
    if kind == 9 and first & 0x80:
        composition = 3 if first & 15 == 1 and tag[1:5] in (b"hvc1", b"avc1", b"vvc1") else 0
        return first & 15, tag[5 + composition:]
    if kind == 9 and first & 15 == 7:
        return tag[1], tag[5:]
    if kind == 8 and first >> 4 == 9:
        return first & 15, tag[5:]
    if kind == 8 and first >> 4 == 10:
        return tag[1], tag[2:]
    return (1, tag[1:]) if kind == 8 else None

def mp4_box(data, name):
    at = data.index(name)
    size = struct.unpack(">I", data[at - 4:at])[0]
    return data[at + 4:at - 4 + size]

def cut(name, data):
    if name.startswith("vvc"):
        (HERE / f"{name}.config").write_bytes(mp4_box(data, b"vvcC"))
        return
    if name.startswith("vp8"):
        (HERE / f"{name}.frame").write_bytes(data[44:44 + FRAME_HEAD])
        return
    packets = [p for p in (body(k, t) for k, t in flv_tags(data) if k in (8, 9) and t) if p]
    config = [p for t, p in packets if t == 0]
    frames = [p for t, p in packets if t in (1, 3) and p]
    if config and config[0]:
        (HERE / f"{name}.config").write_bytes(config[0])
    if name.startswith(TELLING_FRAMES):
        (HERE / f"{name}.frame").write_bytes(frames[0][:FRAME_HEAD])

def main():
    only = sys.argv[2:]
    for name, arguments in CASES.items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            out = pathlib.Path(scratch) / f"o.{CONTAINERS.get(name[:3], 'flv')}"
            run = subprocess.run([sys.argv[1], "-v", "error", "-y", *arguments, str(out)], capture_output=True)
            if run.returncode:
                print(name, "FAILED", run.stderr.decode()[-300:])
                continue
            cut(name, out.read_bytes())
            print(name)

main()
