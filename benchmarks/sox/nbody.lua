local size = 60000 -- small: 20
local sqrt = math.sqrt
local function Body(x, y, z, vx, vy, vz, mass)
  return {x = x, y = y, z = z, vx = vx, vy = vy, vz = vz, mass = mass}
end
local solar = 4 * 3.141592653589793 * 3.141592653589793
local year = 365.24
local bodies = {
  Body(0, 0, 0, 0, 0, 0, solar),
  Body(4.84143144246472090, -1.16032004402742839, -0.103622044471123109,
       0.00166007664274403694 * year, 0.00769901118419740425 * year,
       -0.0000690460016972063023 * year, 0.000954791938424326609 * solar),
  Body(8.34336671824457987, 4.12479856412430479, -0.403523417114321381,
       -0.00276742510726411 * year, 0.00499852801234917238 * year,
       0.0000230417297573763929 * year, 0.000285885980666130812 * solar),
  Body(12.8943695621391310, -15.1111514016986312, -0.223307578892655734,
       0.00296460137564761618 * year, 0.00237847173959480950 * year,
       -0.0000296589568540237556 * year, 0.0000436624404335156298 * solar),
  Body(15.3796971148509165, -25.9193146099879641, 0.179258772950371181,
       0.00268067772490389322 * year, 0.00162824170038242295 * year,
       -0.0000951592254519715870 * year, 0.0000515138902046611451 * solar),
}
local function offset()
  local px, py, pz = 0, 0, 0
  for _, b in ipairs(bodies) do
    px = px + b.vx * b.mass
    py = py + b.vy * b.mass
    pz = pz + b.vz * b.mass
  end
  local sun = bodies[1]
  sun.vx = -px / solar
  sun.vy = -py / solar
  sun.vz = -pz / solar
end
local function energy()
  local e = 0
  local n = #bodies
  for i = 1, n do
    local b = bodies[i]
    e = e + 0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz)
    for j = i + 1, n do
      local c = bodies[j]
      local dx = b.x - c.x
      local dy = b.y - c.y
      local dz = b.z - c.z
      e = e - b.mass * c.mass / sqrt(dx * dx + dy * dy + dz * dz)
    end
  end
  return e
end
local function advance(dt)
  local n = #bodies
  for i = 1, n do
    local b = bodies[i]
    for j = i + 1, n do
      local c = bodies[j]
      local dx = b.x - c.x
      local dy = b.y - c.y
      local dz = b.z - c.z
      local square = dx * dx + dy * dy + dz * dz
      local magnitude = dt / (square * sqrt(square))
      b.vx = b.vx - dx * c.mass * magnitude
      b.vy = b.vy - dy * c.mass * magnitude
      b.vz = b.vz - dz * c.mass * magnitude
      c.vx = c.vx + dx * b.mass * magnitude
      c.vy = c.vy + dy * b.mass * magnitude
      c.vz = c.vz + dz * b.mass * magnitude
    end
  end
  for i = 1, n do
    local b = bodies[i]
    b.x = b.x + dt * b.vx
    b.y = b.y + dt * b.vy
    b.z = b.z + dt * b.vz
  end
end
offset()
print(string.format("%g", energy()))
for i = 1, size do advance(0.01) end
print(string.format("%g", math.floor(energy() * 1000000000 + 169000000)))
