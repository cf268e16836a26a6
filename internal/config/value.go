package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written with a unit: "256MiB".
type Size int64

// Units of Size.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String writes s in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s%u.bytes == 0 && s >= u.bytes {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParseSize reads a whole number with one of the units B, KiB, MiB, GiB, TiB.
func ParseSize(text string) (Size, error) {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > int64(1<<62)/int64(u.bytes) {
			break
		}
		return Size(n) * u.bytes, nil
	}
	return 0, errors.New(`is no size; write a whole number and a unit (B, KiB, MiB, GiB, TiB), like "256MiB"`)
}

// set gives a field the value that text stands for. Errors do not repeat text.
func set(field reflect.Value, text string) error {
	switch p := field.Addr().Interface().(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("is no whole number")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New(`is no duration; write a number and a unit (ms, s, m, h), like "15s"`)
		}
		*p = d
	case *Size:
		size, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = size
	default:
		return fmt.Errorf("has the type %s that no text can be read into", field.Type())
	}
	return nil
}
