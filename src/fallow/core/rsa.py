"""RSA keys as numbers. Only volunteers' clients want them; everything else here is signed with Ed25519."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RsaPublic:
    """modulus: product of two primes. exponent: the public one."""

    modulus: int
    exponent: int

    def opened(self, signature: int) -> int:
        """The message that was signed; of a forgery, some number."""
        return pow(signature, self.exponent, self.modulus)


@dataclass(frozen=True, slots=True)
class RsaPrivate:
    """private: the private exponent. p, q: the primes. Never shown."""

    modulus: int
    exponent: int
    private: int
    p: int
    q: int

    def __repr__(self) -> str:
        return "RsaPrivate(...)"

    @property
    def public(self) -> RsaPublic:
        """The half that everybody may know."""
        return RsaPublic(self.modulus, self.exponent)

    @property
    def remainders(self) -> tuple[int, int, int]:
        """The private exponent modulo p - 1 and modulo q - 1, and the inverse of q modulo p."""
        return self.private % (self.p - 1), self.private % (self.q - 1), pow(self.q, -1, self.p)

    @property
    def is_sound(self) -> bool:
        """Whether the numbers belong together: what the private half signs, the public half opens."""
        if min(self.p, self.q) < 2 or self.p == self.q or self.p * self.q != self.modulus or self.exponent < 3:
            return False
        return all(self.exponent * self.private % (prime - 1) == 1 for prime in (self.p, self.q))

    def signed(self, message: int) -> int:
        """The signature of a message below the modulus. Its time tells of the key: for a machine that signs alone."""
        return pow(message, self.private, self.modulus)
