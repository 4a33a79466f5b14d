#!/usr/bin/env bash
# Makes the FLV files of this folder with FFmpeg. Usage: make.sh [FFMPEG]
set -euo pipefail
cd "$(dirname "$0")"
ffmpeg=${1:-ffmpeg}

picture=(-f lavfi -i testsrc2=size=64x48:rate=10)
tone=(-f lavfi -i sine=frequency=440:sample_rate=48000)

make() {
    local name=$1
    shift
    # Bit-exact, so that making them again changes only what a new encoder changes.
    "$ffmpeg" -hide_banner -v error -y "$@" -t 1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact "$name.flv"
}

make h264-aac "${picture[@]}" "${tone[@]}" -c:v libx264 -bf 2 -g 5 -c:a aac -b:a 16k
make h264-ac3 "${picture[@]}" "${tone[@]}" -c:v libx264 -g 5 -c:a ac3 -b:a 32k
make h264-eac3 "${picture[@]}" "${tone[@]}" -c:v libx264 -g 5 -c:a eac3 -b:a 32k
make h264-mp3 "${picture[@]}" "${tone[@]}" -c:v libx264 -g 5 -c:a libmp3lame -b:a 32k -ar 44100 -ac 2
make hevc-opus "${picture[@]}" "${tone[@]}" -c:v libx265 -x265-params log-level=none:bframes=2 -g 5 -c:a libopus -b:a 16k
make av1-aac "${picture[@]}" "${tone[@]}" -c:v libaom-av1 -cpu-used 8 -g 5 -c:a aac -b:a 16k
make vp9-flac "${picture[@]}" "${tone[@]}" -c:v libvpx-vp9 -cpu-used 8 -g 5 -c:a flac -ar 16000
make vvc "${picture[@]}" -c:v libvvenc -preset faster
make hdr "${picture[@]}" -c:v libx265 -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc \
    -x265-params "log-level=none:hdr10=1:max-cll=1000,400:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
make multitrack "${picture[@]}" "${tone[@]}" -f lavfi -i sine=frequency=880 "${picture[@]}" -map 0:v -map 1:a -map 2:a -map 3:v \
    -c:v:0 libx264 -c:v:1 libx265 -x265-params log-level=none -g 5 -c:a:0 aac -c:a:1 libopus -b:a 16k
make surround -f lavfi -i anullsrc=channel_layout=5.1:sample_rate=48000 -c:a libopus -b:a 32k
make mp3-mono "${tone[@]}" -c:a libmp3lame -b:a 16k -ar 22050 -ac 1
make h263-adpcm "${picture[@]}" "${tone[@]}" -c:v flv1 -g 5 -c:a adpcm_swf -ar 11025
make key-frame-index "${picture[@]}" "${tone[@]}" -c:v libx264 -g 2 -c:a aac -b:a 16k -flvflags add_keyframe_index
