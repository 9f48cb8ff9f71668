// Tabs as the ARIA practices describe them; without scripts every part is shown, one after another.
(() => {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  const panels = tabs.map((tab) => document.getElementById(tab.getAttribute('aria-controls')));
  const show = (at, focus) => {
    tabs.forEach((tab, i) => {
      tab.setAttribute('aria-selected', String(i === at));
      tab.tabIndex = i === at ? 0 : -1;
      panels[i].hidden = i !== at;
    });
    if (focus) tabs[at].focus();
    if (at || location.hash) history.replaceState(null, '', '#part' + at);
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener('click', () => show(i, false));
    tab.addEventListener('keydown', (event) => {
      const last = tabs.length - 1;
      const to = { ArrowRight: i === last ? 0 : i + 1, ArrowLeft: i === 0 ? last : i - 1,
        Home: 0, End: last }[event.key];
      if (to !== undefined) { event.preventDefault(); show(to, true); }
    });
  });
  const wanted = tabs.findIndex((tab, i) => '#part' + i === location.hash);
  show(Math.max(0, wanted), false);
})();
