#!/bin/sh
# Builds the program of the embedded image, for this machine's processor.
set -eu
cd "$(dirname "$0")"
${CC:-cc} -std=c11 -Os -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-pie -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -s -o hello.bin.new hello.c
mv hello.bin.new hello.bin
