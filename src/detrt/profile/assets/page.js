'use strict';
const search = document.querySelector('input[type=search]');
const rows = [...document.querySelectorAll('tbody tr')];
const boxes = new Map([...document.querySelectorAll('.layer')].map((box) => [box.dataset.layer, box]));
const svg = document.querySelector('.graph svg');
const found = document.getElementById('found');

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  let time = 0;
  for (const row of rows) {
    const fits = words.every((word) => row.dataset.text.includes(word));
    row.hidden = !fits;
    boxes.get(row.dataset.layer)?.classList.toggle('dim', !fits);
    if (fits) {
      count += 1;
      time += Number(row.cells[5].textContent);
    }
  }
  found.textContent = words.length ? `${count} layers, ${time.toFixed(1)} µs` : '';
}
search.addEventListener('input', filter);

for (const item of document.querySelectorAll('[data-find]')) {
  item.addEventListener('click', () => {
    search.value = search.value === item.dataset.find ? '' : item.dataset.find;
    filter();
  });
}

for (const button of document.querySelectorAll('[data-color]')) {
  button.addEventListener('click', () => {
    svg.setAttribute('class', `by-${button.dataset.color}`);
    document.querySelectorAll('[data-color]').forEach((other) => other.classList.toggle('on', other === button));
  });
}

for (const [number, box] of boxes) {
  box.addEventListener('click', () => {
    const row = rows.find((candidate) => candidate.dataset.layer === number);
    rows.forEach((other) => other.classList.toggle('here', other === row));
    row.querySelector('details').open = true;
    row.scrollIntoView({ block: 'center', behavior: 'smooth' });
  });
}

document.querySelectorAll('th').forEach((head, column) => {
  head.addEventListener('click', () => {
    const down = !head.classList.contains('down');
    document.querySelectorAll('th').forEach((other) => other.classList.remove('up', 'down'));
    head.classList.add(down ? 'down' : 'up');
    const value = (row) => (head.dataset.kind === 'number' ? Number(row.cells[column].textContent) : row.cells[column].textContent);
    rows.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
    rows[0].parentNode.append(...rows);
  });
});
