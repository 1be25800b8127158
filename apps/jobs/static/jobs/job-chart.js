// Draws a job's course from the numbers that the renewing part of the page carries, and draws anew whenever that part is renewed.
(() => {
  let chart = null;

  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

  const draw = () => {
    const canvas = document.getElementById("job-chart");
    const source = document.getElementById("job-bars");
    if (!canvas || !source) return;
    const bars = JSON.parse(source.textContent);
    canvas.closest("figure").hidden = bars.length === 0;
    if (bars.length === 0) return;
    const data = {
      labels: bars.map((bar) => clock(bar.at)),
      datasets: [
        { label: "done per second", data: bars.map((bar) => bar.done), backgroundColor: "#16a34a", stack: "items" },
        { label: "dead per second", data: bars.map((bar) => bar.dead), backgroundColor: "#dc2626", stack: "items" },
      ],
    };
    const text = document.documentElement.classList.contains("dark") ? "#d4d4d8" : "#52525b";
    if (chart) {
      chart.data = data;
      chart.update("none");
      return;
    }
    chart = new Chart(canvas, {
      type: "bar",
      data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        barPercentage: 1,
        categoryPercentage: 0.9,
        plugins: { legend: { display: false } },
        scales: {
          x: { stacked: true, grid: { display: false }, ticks: { color: text, maxTicksLimit: 6, maxRotation: 0 } },
          y: { stacked: true, beginAtZero: true, grid: { color: "rgb(128 128 128 / .2)" }, ticks: { color: text, maxTicksLimit: 4 } },
        },
      },
    });
  };

  // What can be done depends on the status: when that changes, the whole page is read anew.
  const status = () => document.querySelector("#job-progress [data-status]")?.dataset.status;
  let shown;

  document.addEventListener("DOMContentLoaded", () => {
    shown = status();
    draw();
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (status() !== shown) {
      shown = status();
      location.reload();
      return;
    }
    draw();
  });
})();
