//go:build plant

package plant

import (
	"fmt"
	"os"
)

var planted = Name(os.Getenv("ROUSE_PLANT"))

func init() {
	if planted != "" {
		fmt.Fprintf(os.Stderr, "plant: this program has the fault %q on purpose\n", string(planted))
	}
}

// On tells whether the environment asked for the fault.
func On(n Name) bool { return n == planted }
