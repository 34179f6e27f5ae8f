// Package quadlet turns Quadlet files (.container, .pod, .network, .volume, .image,
// .build, .artifact) into services for systemd, as its generators do: it finds the
// files and their drop-ins, converts them, and writes services and the links that
// enable them. It starts nothing and asks no store; it runs before there is a
// session. The syntax of the files is package unitfile's.
package quadlet
