package checksum

import (
	"encoding/binary"
	"fmt"
)

// Reflected generator polynomials, without their top bit.
const (
	polyIEEE       = 0xedb88320
	polyCastagnoli = 0x82f63b78
	polyNVME       = 0x9a6c9329ac4bc9b5
)

// Combine returns the digest of A‖B from the digests of A and B and the length of B in bytes. Only CRCs are linear:
// the others answer ErrNotLinear.
//
// A CRC with all-ones preset and inversion satisfies crc(A‖B) = crc(A)·x^(8·len B) ⊕ crc(B) modulo its polynomial, so
// that one multiplication by a power of x is all it takes.
func Combine(a Algorithm, left, right []byte, rightLen int64) ([]byte, error) {
	if len(left) != a.Size() || len(right) != a.Size() || rightLen < 0 {
		return nil, fmt.Errorf("combine %s: %w", a, ErrWrongWidth)
	}
	switch a {
	case CRC32:
		return combine32(polyIEEE, left, right, rightLen), nil
	case CRC32C:
		return combine32(polyCastagnoli, left, right, rightLen), nil
	case CRC64NVME:
		f := field{poly: polyNVME, width: 64}
		shifted := f.mul(binary.BigEndian.Uint64(left), f.powX(8*uint64(rightLen)))
		return binary.BigEndian.AppendUint64(nil, shifted^binary.BigEndian.Uint64(right)), nil
	default:
		return nil, fmt.Errorf("combine %s: %w", a, ErrNotLinear)
	}
}

func combine32(poly uint64, left, right []byte, rightLen int64) []byte {
	f := field{poly: poly, width: 32}
	shifted := f.mul(uint64(binary.BigEndian.Uint32(left)), f.powX(8*uint64(rightLen)))
	return binary.BigEndian.AppendUint32(nil, uint32(shifted)^binary.BigEndian.Uint32(right))
}

// field is GF(2)[x] modulo a polynomial of the given width, in reflected order: the top bit is x^0.
type field struct {
	poly  uint64
	width uint
}

func (f field) one() uint64 { return 1 << (f.width - 1) }

// mul multiplies two elements.
func (f field) mul(a, b uint64) uint64 {
	var product uint64
	for bit := f.one(); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= f.poly
		}
	}
	return product
}

// powX returns x^n, by squaring.
func (f field) powX(n uint64) uint64 {
	result, square := f.one(), f.one()>>1
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = f.mul(result, square)
		}
		square = f.mul(square, square)
	}
	return result
}
