package catalog

import (
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"strings"
)

const (
	sumBytes    = sha256.Size
	prefix      = "rk_"
	idChars     = 16 // 95 bits: ids do not meet by chance
	secretBytes = 32
	secretChars = 43 // base 62 digits of 32 bytes
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret makes "rk_", a public key id, "_" and a secret part.
func newSecret() string {
	return prefix + digits(idChars, idChars) + "_" + digits(secretBytes, secretChars)
}

// digits writes so many random bytes as so many base 62 digits, filled up with
// zeros; digits that find no room are dropped.
func digits(randomBytes, chars int) string {
	b := make([]byte, randomBytes)
	rand.Read(b) // never fails, see crypto/rand
	n, base, digit := new(big.Int).SetBytes(b), big.NewInt(int64(len(alphabet))), new(big.Int)
	out := make([]byte, chars)
	for i := range out {
		n.DivMod(n, base, digit)
		out[i] = alphabet[digit.Int64()]
	}
	return string(out)
}

// keyID cuts the public part out of a secret; false when it has not the form of one.
func keyID(secret string) (string, bool) {
	if len(secret) != len(prefix)+idChars+1+secretChars || !strings.HasPrefix(secret, prefix) || secret[len(prefix)+idChars] != '_' {
		return "", false
	}
	return secret[len(prefix) : len(prefix)+idChars], true
}

// sum is what is stored of a secret.
func (c *Catalog) sum(secret string) [sumBytes]byte { return c.Ring.Sum("api key", []byte(secret)) }
