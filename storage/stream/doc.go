// Package stream carries the keys of a group between nodes and into archives: as
// frames, each with its checksum, and a total over all keys at the end.
//
// A frame is its length as a big-endian u32, a kind, a payload and the CRC-32C
// of kind and payload as a big-endian u32; the length counts kind and payload. A
// frame of pairs holds keys and values, each with its length before it as a
// uvarint, and is cut at about 64 KiB: that much is in memory at once, or one
// pair that is larger. The last frame of a stream holds the Total.
package stream
