from math import floor, sqrt

size = 60000  # small: 20


class Body:
    def __init__(self, x, y, z, vx, vy, vz, mass):
        self.x = x
        self.y = y
        self.z = z
        self.vx = vx
        self.vy = vy
        self.vz = vz
        self.mass = mass


solar = 4 * 3.141592653589793 * 3.141592653589793
year = 365.24
bodies = [
    Body(0, 0, 0, 0, 0, 0, solar),
    Body(
        4.84143144246472090,
        -1.16032004402742839,
        -0.103622044471123109,
        0.00166007664274403694 * year,
        0.00769901118419740425 * year,
        -0.0000690460016972063023 * year,
        0.000954791938424326609 * solar,
    ),
    Body(
        8.34336671824457987,
        4.12479856412430479,
        -0.403523417114321381,
        -0.00276742510726411 * year,
        0.00499852801234917238 * year,
        0.0000230417297573763929 * year,
        0.000285885980666130812 * solar,
    ),
    Body(
        12.8943695621391310,
        -15.1111514016986312,
        -0.223307578892655734,
        0.00296460137564761618 * year,
        0.00237847173959480950 * year,
        -0.0000296589568540237556 * year,
        0.0000436624404335156298 * solar,
    ),
    Body(
        15.3796971148509165,
        -25.9193146099879641,
        0.179258772950371181,
        0.00268067772490389322 * year,
        0.00162824170038242295 * year,
        -0.0000951592254519715870 * year,
        0.0000515138902046611451 * solar,
    ),
]


def offset(bodies):
    px = py = pz = 0
    for b in bodies:
        px = px + b.vx * b.mass
        py = py + b.vy * b.mass
        pz = pz + b.vz * b.mass
    sun = bodies[0]
    sun.vx = -px / solar
    sun.vy = -py / solar
    sun.vz = -pz / solar


def energy(bodies):
    e = 0
    n = len(bodies)
    for i in range(n):
        b = bodies[i]
        e = e + 0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz)
        for j in range(i + 1, n):
            c = bodies[j]
            dx = b.x - c.x
            dy = b.y - c.y
            dz = b.z - c.z
            e = e - b.mass * c.mass / sqrt(dx * dx + dy * dy + dz * dz)
    return e


def advance(bodies, dt):
    n = len(bodies)
    for i in range(n):
        b = bodies[i]
        for j in range(i + 1, n):
            c = bodies[j]
            dx = b.x - c.x
            dy = b.y - c.y
            dz = b.z - c.z
            square = dx * dx + dy * dy + dz * dz
            magnitude = dt / (square * sqrt(square))
            b.vx = b.vx - dx * c.mass * magnitude
            b.vy = b.vy - dy * c.mass * magnitude
            b.vz = b.vz - dz * c.mass * magnitude
            c.vx = c.vx + dx * b.mass * magnitude
            c.vy = c.vy + dy * b.mass * magnitude
            c.vz = c.vz + dz * b.mass * magnitude
    for b in bodies:
        b.x = b.x + dt * b.vx
        b.y = b.y + dt * b.vy
        b.z = b.z + dt * b.vz


offset(bodies)
print(f"{energy(bodies):g}")
for _ in range(size):
    advance(bodies, 0.01)
print(f"{floor(energy(bodies) * 1000000000 + 169000000):g}")
