// A line under the pointer, and the numbers of each curve at its point next to it; where a chart has
// the focus, arrow keys move the line. Without scripts each point shows its own numbers.
(() => {
  const LIMIT = 16; // rows of the readout
  for (const chart of document.querySelectorAll('.chart')) {
    const spots = [...chart.querySelectorAll('.spot')].map((dot) => ({
      dot, x: Number(dot.getAttribute('cx')), line: dot.parentNode,
      colour: dot.getAttribute('class').match(/f\d/)[0],
      text: dot.firstElementChild.textContent,
    }));
    if (!spots.length) continue;
    spots.forEach(({ dot }) => { dot.setAttribute('r', '3.5'); dot.firstElementChild.remove(); });
    const lines = [...new Set(spots.map((spot) => spot.line))]
      .map((line) => spots.filter((spot) => spot.line === line));
    const cross = document.createElementNS(chart.namespaceURI, 'line');
    cross.setAttribute('class', 'cross');
    const box = Object.assign(document.createElement('div'), { className: 'readout' });
    box.setAttribute('role', 'status');
    const figure = chart.closest('figure');
    const [, , width, height] = chart.getAttribute('viewBox').split(' ').map(Number);
    const rule = chart.querySelector('.axis');
    let near = [];
    const clear = () => {
      near.forEach(({ dot }) => dot.classList.remove('near'));
      near = [];
      cross.remove();
      box.remove();
    };
    const show = (at) => {
      clear();
      near = lines.map((line) => line.reduce((a, b) =>
        (Math.abs(b.x - at) < Math.abs(a.x - at) ? b : a)));
      const x = near.reduce((a, b) => (Math.abs(b.x - at) < Math.abs(a.x - at) ? b : a)).x;
      near = near.filter((spot) => Math.abs(spot.x - x) < 0.03 * width);
      near.forEach(({ dot }) => dot.classList.add('near'));
      for (const [name, value] of [['x1', x], ['x2', x], ['y1', 18],
        ['y2', rule ? rule.getAttribute('y1') : height]]) cross.setAttribute(name, value);
      chart.append(cross);
      box.replaceChildren(...near.slice(0, LIMIT).map((spot) => {
        const row = document.createElement('div');
        const dot = document.createElement('i');
        dot.className = spot.colour;
        row.append(dot, spot.text);
        return row;
      }));
      figure.append(box);
      const share = x / width;
      const shift = chart.clientWidth * share + (share > 0.5 ? -box.offsetWidth - 12 : 12);
      box.style.left = `${Math.max(0, Math.min(shift, chart.clientWidth - box.offsetWidth))}px`;
    };
    const place = (event) => {
      const { left, width: wide } = chart.getBoundingClientRect();
      return ((event.clientX - left) / wide) * width;
    };
    chart.addEventListener('pointermove', (event) => show(place(event)));
    chart.addEventListener('pointerdown', (event) => show(place(event)));
    chart.addEventListener('pointerleave', clear);
    const stops = [...new Set(spots.map((spot) => spot.x))].sort((a, b) => a - b);
    let stop = -1;
    chart.tabIndex = 0;
    chart.setAttribute('role', 'application');
    chart.setAttribute('aria-label',
      `${chart.getAttribute('aria-label')}. Arrow keys move from point to point.`);
    chart.addEventListener('keydown', (event) => {
      const last = stops.length - 1;
      const to = { ArrowRight: Math.min(stop + 1, last), ArrowLeft: Math.max(stop - 1, 0),
        Home: 0, End: last, Escape: -1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      stop = to;
      if (stop < 0) clear(); else show(stops[stop]);
    });
    chart.addEventListener('blur', clear);
  }
})();
